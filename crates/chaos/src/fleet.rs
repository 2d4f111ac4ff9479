//! The processes of a trial: the gateway, and so many replicas of each service, on one address each.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use demo::parts::Part;
use demo::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::SecretString;
use service_kit::db::Connection;
use tempfile::TempDir;

use crate::balancer::Balancer;
use crate::plan::Backend;
use crate::postgres::Postgres;

/// The services, in the order they start: nobody before those it calls.
pub const SERVICES: [Part; 4] = [Part::User, Part::Inventory, Part::Payment, Part::Order];

/// Made anew for each trial would be no safer: it listens on loopback and lives for minutes.
const SECRET: &str = "chaos-0123456789-0123456789-0123456789";

/// What the services are told, so that what takes minutes in earnest takes seconds here.
const VARIABLES: [(&str, &str); 14] = [
    ("GATEWAY_TIMEOUT_MS", "700"),
    ("GATEWAY_SLOW_MS", "1500"),
    ("PAYMENT_TIMEOUT_MS", "3000"),
    ("PAYMENT_RECOVERY_INTERVAL_MS", "500"),
    ("PAYMENT_ABANDONED_AFTER_MS", "3000"),
    ("ORDER_LEASE_MS", "4000"),
    ("RECOVERY_INTERVAL_MS", "200"),
    ("RECOVERY_MAX_ATTEMPTS", "50"),
    ("OTEL_TRACES_EXPORTER", "none"),
    ("OTEL_METRICS_EXPORTER", "none"),
    ("OTEL_LOGS_EXPORTER", "none"),
    // All customers come from here.
    ("LOGIN_ATTEMPTS_PER_ADDRESS", "100000"),
    ("RUST_LOG", "warn"),
    ("WORKERS", "2"),
];

/// The running processes. Dropping it kills them.
pub struct Fleet {
    program: PathBuf,
    variables: Vec<(String, String)>,
    ports: BTreeMap<(Part, usize), u16>,
    processes: BTreeMap<(Part, usize), Process>,
    balancers: BTreeMap<Part, Balancer>,
    client: reqwest::Client,
    postgres: Option<Postgres>,
    data: TempDir,
}

impl Fleet {
    /// Starts everything. `program` is the binary that has the processes in it; `variables` are more of them.
    ///
    /// # Errors
    /// Where a process or the database does not come up.
    pub async fn start(
        program: &Path,
        backend: Backend,
        replicas: usize,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            replicas == 1 || backend == Backend::Postgres,
            "replicas share a database, which is PostgreSQL"
        );
        let postgres = (backend == Backend::Postgres).then(Postgres::start).transpose()?;
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let variables = VARIABLES.iter().chain(variables).map(own).collect();
        let mut fleet = Self {
            program: program.to_owned(),
            variables,
            ports: BTreeMap::new(),
            processes: BTreeMap::new(),
            balancers: BTreeMap::new(),
            client: client(),
            postgres,
            data: tempfile::Builder::new().prefix("chaos-").tempdir()?,
        };
        fleet.listen(replicas).await?;
        fleet.start_one(Part::Gateway, 0).await?;
        for part in SERVICES {
            // All at once: they migrate the same database.
            for replica in 0..replicas {
                fleet.spawn(part, replica)?;
            }
            for replica in 0..replicas {
                fleet.ready(part, replica).await?;
            }
        }
        Ok(fleet)
    }

    async fn listen(&mut self, replicas: usize) -> anyhow::Result<()> {
        // Kept until all ports are chosen, so that none is chosen twice.
        let mut listeners = Vec::new();
        let gateway = [(Part::Gateway, 0)].into_iter();
        let services =
            SERVICES.into_iter().flat_map(|part| (0..replicas).map(move |replica| (part, replica)));
        // Below those that the system gives to connections: while a process is killed, its port is to stay free.
        let mut ports = (18_000..32_000).cycle().skip(std::process::id() as usize * 17 % 14_000);
        for key in gateway.chain(services) {
            let free =
                ports.by_ref().take(1_000).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
            let listener = free.context("finding a free port")?;
            self.ports.insert(key, listener.local_addr()?.port());
            listeners.push(listener);
        }
        for part in SERVICES {
            let ports = (0..replicas).map(|replica| self.ports[&(part, replica)]).collect();
            self.balancers.insert(part, Balancer::start(ports).await?);
        }
        Ok(())
    }

    /// Where a service, or the gateway, is asked.
    pub fn url(&self, part: Part) -> String {
        match self.balancers.get(&part) {
            Some(balancer) => balancer.url(),
            None => format!("http://127.0.0.1:{}", self.ports[&(part, 0)]),
        }
    }

    /// How many replicas each service has.
    pub fn replicas(&self) -> usize {
        self.ports.keys().filter(|(part, _)| *part == Part::Order).count()
    }

    /// What the services sign their tokens with.
    pub fn service_secret(&self) -> SecretString {
        SECRET.to_owned().into()
    }

    /// An HTTP client without telemetry.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// A connection to a service's database.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub fn database(&self, part: Part) -> anyhow::Result<Connection> {
        Ok(Connection::open(&self.database_url(part).parse()?)?)
    }

    /// Starts a process where it listened before, and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_one(&mut self, part: Part, replica: usize) -> anyhow::Result<()> {
        self.spawn(part, replica)?;
        self.ready(part, replica).await
    }

    fn spawn(&mut self, part: Part, replica: usize) -> anyhow::Result<()> {
        let mut variables = self.variables.clone();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        if part != Part::Gateway {
            set("DATABASE_URL", self.database_url(part));
            set("SERVICE_TOKEN_SECRET", SECRET.to_owned());
            set("JWT_SECRET", SECRET.to_owned());
            set("USER_URL", self.url(Part::User));
            set("INVENTORY_URL", self.url(Part::Inventory));
            set("PAYMENT_URL", self.url(Part::Payment));
            set("GATEWAY_URL", self.url(Part::Gateway));
        }
        let port = self.ports[&(part, replica)];
        let process = Process::start(&self.program, part, port, &variables, self.data.path())?;
        self.processes.insert((part, replica), process);
        Ok(())
    }

    async fn ready(&mut self, part: Part, replica: usize) -> anyhow::Result<()> {
        let client = self.client.clone();
        let process = self.processes.get_mut(&(part, replica)).context("it was started")?;
        process.ready(&client).await
    }

    /// Kills a process (SIGKILL).
    pub fn kill(&mut self, part: Part, replica: usize) {
        // Dropping it kills it, and waits until it is gone.
        drop(self.processes.remove(&(part, replica)));
    }

    /// Stops a process where it is (SIGSTOP), so that it answers nobody, or lets it go on (SIGCONT).
    ///
    /// # Errors
    /// Where it is gone.
    pub fn freeze(&self, part: Part, is_frozen: bool) -> anyhow::Result<()> {
        let process = self.processes.get(&(part, 0)).context("it runs")?;
        let id = Pid::from_raw(i32::try_from(process.id())?).context("a process has an id")?;
        Ok(kill_process(id, if is_frozen { Signal::STOP } else { Signal::CONT })?)
    }

    /// Restarts the database as a crash does, and says so; nothing with SQLite, which is in the processes.
    ///
    /// # Errors
    /// Where it does not start again.
    pub fn restart_database(&self) -> anyhow::Result<bool> {
        let Some(postgres) = &self.postgres else { return Ok(false) };
        postgres.restart()?;
        Ok(true)
    }

    /// The ends of what the services have printed.
    pub fn printed(&self) -> String {
        let mut text = String::new();
        for part in SERVICES {
            if let Some(process) = self.processes.get(&(part, 0)) {
                text += &format!("--- {}\n{}\n", part.name(), process.printed());
            }
        }
        text
    }

    fn database_url(&self, part: Part) -> String {
        match &self.postgres {
            Some(postgres) => postgres.url(part.name()),
            None => format!("sqlite://{}", self.data.path().join(format!("{}.db", part.name())).display()),
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // A frozen process would be killed as well; its connections are let go first.
        let _ = self.freeze(Part::Gateway, false);
        self.processes.clear();
    }
}

fn client() -> reqwest::Client {
    // An error says that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .tls_certs_only([])
        .no_proxy()
        .build()
        .expect("a client without certificates reads nothing that could fail")
}
