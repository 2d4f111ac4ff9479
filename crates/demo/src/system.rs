//! All processes of the system: started in order, stopped in the reverse order.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::parts::Part;
use crate::process::Process;

/// How to start the system.
pub struct Plan {
    /// The binary that has the processes in it.
    pub program: PathBuf,
    /// Where databases and logs go.
    pub data: PathBuf,
    /// PostgreSQL instead of SQLite: a URL with `{service}` in it.
    pub database_url: Option<String>,
    /// Whether to prefer the well-known ports; else any free ones.
    pub default_ports: bool,
    /// More variables, for all processes.
    pub variables: Vec<(String, String)>,
}

/// The running system. Dropping it kills its processes.
pub struct System {
    plan: Plan,
    ports: Ports,
    secrets: Secrets,
    processes: BTreeMap<Part, Process>,
    client: reqwest::Client,
}

impl System {
    /// Starts every process, each as soon as those it calls are ready. `started` hears of each.
    ///
    /// # Errors
    /// Where one does not come up; those that did are killed.
    pub async fn start(plan: Plan, mut started: impl FnMut(&Process)) -> anyhow::Result<Self> {
        let secrets = Secrets::load(&plan.data)?;
        let ports = Ports::choose(plan.default_ports)?;
        let mut system = Self { plan, ports, secrets, processes: BTreeMap::new(), client: client() };
        for part in Part::ALL {
            started(system.start_one(part).await?);
        }
        Ok(system)
    }

    /// Starts one process, where it listened before if it ran before, and waits until it is ready.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn start_one(&mut self, part: Part) -> anyhow::Result<&Process> {
        let logs = self.plan.data.join("logs");
        std::fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        let variables = self.variables(part);
        let mut process = Process::start(&self.plan.program, part, self.ports.of(part), &variables, &logs)?;
        process.ready(&self.client).await?;
        self.processes.insert(part, process);
        Ok(&self.processes[&part])
    }

    /// The base URL of a process.
    pub fn url(&self, part: Part) -> String {
        self.ports.url(part)
    }

    /// A process, where it runs.
    pub fn process(&self, part: Part) -> Option<&Process> {
        self.processes.get(&part)
    }

    /// What the services sign their tokens with.
    pub fn service_secret(&self) -> &SecretString {
        &self.secrets.service_token
    }

    /// What the user service signs access tokens with.
    pub fn access_token_secret(&self) -> &SecretString {
        &self.secrets.jwt
    }

    /// An HTTP client without telemetry: the traces begin in the services.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Any process that has ended by itself, and how.
    pub fn ended(&mut self) -> Option<(&Process, ExitStatus)> {
        self.processes.values_mut().find_map(|process| {
            let status = process.ended()?;
            Some((&*process, status))
        })
    }

    /// Stops one process and waits for its end.
    ///
    /// # Errors
    /// Where it does not end well.
    pub async fn stop_one(&mut self, part: Part) -> anyhow::Result<()> {
        match self.processes.remove(&part) {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Stops everything, callers before those they call and the viewer last, so that it gets the last
    /// spans.
    ///
    /// # Errors
    /// All that did not end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let mut failures = Vec::new();
        while let Some((_, process)) = self.processes.pop_last() {
            if let Err(error) = process.stop().await {
                failures.push(format!("{error:#}"));
            }
        }
        anyhow::ensure!(failures.is_empty(), failures.join("\n"));
        Ok(())
    }
}

impl System {
    /// What this process tells `part`.
    fn variables(&self, part: Part) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
        if part.is_service() {
            set("DATABASE_URL", self.plan.database_url(part));
            set("SERVICE_TOKEN_SECRET", self.secrets.service_token.expose_secret().to_owned());
            if part == Part::User {
                set("JWT_SECRET", self.secrets.jwt.expose_secret().to_owned());
            }
            set("USER_URL", self.url(Part::User));
            set("INVENTORY_URL", self.url(Part::Inventory));
            set("PAYMENT_URL", self.url(Part::Payment));
            set("GATEWAY_URL", self.url(Part::Gateway));
            // Everything goes to the viewer, and soon: a person is waiting to see it.
            for signal in ["TRACES", "METRICS", "LOGS"] {
                set(&format!("OTEL_{signal}_EXPORTER"), "otlp".to_owned());
            }
            set("OTEL_EXPORTER_OTLP_ENDPOINT", self.url(Part::Viewer));
            set("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned());
            set("OTEL_BLRP_SCHEDULE_DELAY", "100".to_owned());
        }
        if matches!(part, Part::Gateway | Part::Inventory) {
            // This is a demonstration: these can be told to fail, by whoever has the secret.
            set("FAULTS", "on".to_owned());
            set("SERVICE_TOKEN_SECRET", self.secrets.service_token.expose_secret().to_owned());
        }
        if part == Part::Inventory {
            // The shop has a dozen products, so a leak of queries shows at a dozen.
            set("OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD", "12".to_owned());
        }
        variables.extend(self.plan.variables.iter().cloned());
        variables
    }
}

impl Plan {
    fn database_url(&self, part: Part) -> String {
        match &self.database_url {
            Some(url) => url.replace("{service}", part.name()),
            None => format!("sqlite://{}", self.data.join(format!("{}.db", part.name())).display()),
        }
    }
}

/// An HTTP client that waits longer than any order takes.
fn client() -> reqwest::Client {
    // An error says that there is a provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .tls_certs_only([])
        // Everything is on this host, whatever proxy the shell names for the world outside.
        .no_proxy()
        .build()
        .expect("a client without certificates reads nothing that could fail")
}

/// Where each process listens.
struct Ports(BTreeMap<Part, u16>);

impl Ports {
    fn choose(prefer_default: bool) -> anyhow::Result<Self> {
        // The listeners are kept until all ports are chosen, so that no port is chosen twice.
        let mut listeners = BTreeMap::new();
        for part in Part::ALL {
            let preferred = if prefer_default { part.default_port() } else { 0 };
            let listener = TcpListener::bind(("127.0.0.1", preferred))
                .or_else(|_| TcpListener::bind(("127.0.0.1", 0)))
                .context("finding a free port")?;
            listeners.insert(part, listener);
        }
        let ports = listeners.iter().map(|(part, listener)| Ok((*part, listener.local_addr()?.port())));
        Ok(Self(ports.collect::<std::io::Result<_>>()?))
    }

    fn of(&self, part: Part) -> u16 {
        self.0[&part]
    }

    fn url(&self, part: Part) -> String {
        format!("http://127.0.0.1:{}", self.of(part))
    }
}

/// Secrets made for this folder's databases, kept beside them: tokens stay valid over restarts.
struct Secrets {
    service_token: SecretString,
    jwt: SecretString,
}

impl Secrets {
    fn load(data: &Path) -> anyhow::Result<Self> {
        let secret = |name: &str| {
            let path = data.join(name);
            if let Ok(secret) = std::fs::read_to_string(&path) {
                return Ok(SecretString::from(secret));
            }
            // Two version 4 UUIDs: 244 random bits.
            let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
            write_private(&path, &secret).with_context(|| format!("writing {}", path.display()))?;
            Ok::<_, anyhow::Error>(secret.into())
        };
        Ok(Self { service_token: secret("service-token-secret")?, jwt: secret("jwt-secret")? })
    }
}

/// A file that nobody else can read.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
