//! `doctor`: tells what is wrong with the telemetry of a process before it is missed.
//!
//! It shows every setting with its source, names mistakes and near misses with what would be right, and goes the way to
//! every OTLP endpoint stage by stage: name, connection, TLS, protocol, and a probe of each signal, sent as exports are
//! sent. docs/doctor.md lists what it tells.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use telemetry_core::doctor::Examination;
//!
//! fn main() -> ExitCode {
//!     if std::env::args().nth(1).as_deref() == Some("doctor") {
//!         let doctor = Examination::of_process(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
//!         return doctor.examine().print(false);
//!     }
//!     // … serve …
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! A program adds what only it knows: [`Examination::check`] for anything, [`Examination::peer`] for an address that
//! should answer HTTP.

mod configuration;
mod exporters;
mod own;
mod probe;
mod reach;
mod report;
mod surroundings;
mod text;
mod tls;
mod wire;
mod words;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use opentelemetry::Context;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::Url;

use crate::Config;
use crate::config::{Env, Otlp, Protocol};
use crate::export::install_crypto_provider;

use self::reach::Target;
pub use self::report::{Finding, Outcome, Reach, Report};

/// The program that docs/doctor.md shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/doctor.md")]
struct Page;

/// What is to be examined. Build it, and call [`Examination::examine`].
pub struct Examination {
    config: Config,
    report: Report,
    options: Options,
    checks: Vec<Check>,
    peers: Vec<(String, Url)>,
}

/// How far an examination goes.
#[derive(Debug, Clone, Copy)]
struct Options {
    probe: bool,
    stage_deadline: Duration,
}

struct Check {
    subject: String,
    run: Box<dyn FnOnce() -> Finding + Send>,
}

impl Examination {
    /// Of a configuration, and of the variables that it was read from. Everything that the program reads from `env`
    /// should have been read by now: its settings and its mistakes are part of the report.
    ///
    /// ```
    /// use telemetry_core::Config;
    /// use telemetry_core::config::Env;
    /// use telemetry_core::doctor::{Examination, Outcome};
    ///
    /// let mut env = Env::of([("OTEL_TRACES_SAMPLER", "sometimes")]);
    /// let config = Config::read("shop", "1.0.0", &mut env);
    /// let report = Examination::new(&config, env).examine();
    ///
    /// assert_eq!(report.exit_code, 2);
    /// let mistake = &report.configuration[0];
    /// assert_eq!((mistake.outcome, mistake.subject.as_str()), (Outcome::Mistake, "OTEL_TRACES_SAMPLER"));
    /// ```
    pub fn new(config: &Config, env: Env) -> Self {
        let report = Report {
            service: config.service.name.clone(),
            version: config.service.version.clone(),
            exit_code: 0,
            settings: env.settings().to_vec(),
            configuration: configuration::findings(config, env),
            exporters: exporters::findings(config),
            endpoints: Vec::new(),
            checks: Vec::new(),
        };
        let options = Options { probe: true, stage_deadline: STAGE_DEADLINE };
        Self { config: config.clone(), report, options, checks: Vec::new(), peers: Vec::new() }
    }

    /// Of the variables of this process, as [`Config::from_env`] reads them.
    pub fn of_process(service_name: &str, service_version: &str) -> Self {
        let mut env = Env::process();
        let config = Config::read(service_name, service_version, &mut env);
        Self::new(&config, env)
    }

    /// Sends nothing to anyone: connections are opened and closed again.
    #[must_use]
    pub fn without_probe(mut self) -> Self {
        self.options.probe = false;
        self
    }

    /// How long each stage may take, 5 s by default.
    #[must_use]
    pub fn stage_deadline(mut self, deadline: Duration) -> Self {
        self.options.stage_deadline = deadline;
        self
    }

    /// How long the process gives to its end: an export that may take longer is told.
    #[must_use]
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.report.configuration.extend(configuration::timeouts(&self.config, deadline));
        self
    }

    /// Adds a finding that needs no waiting.
    #[must_use]
    pub fn finding(mut self, finding: Finding) -> Self {
        self.report.checks.push(finding);
        self
    }

    /// Adds a check, which runs on a thread of its own beside everything else. What takes longer than a stage may is
    /// told as failed, and left behind.
    #[must_use]
    pub fn check(
        mut self,
        subject: impl Into<String>,
        run: impl FnOnce() -> Finding + Send + 'static,
    ) -> Self {
        self.checks.push(Check { subject: subject.into(), run: Box::new(run) });
        self
    }

    /// Adds an address that should answer a GET with success, such as another service's `/health`.
    #[must_use]
    pub fn peer(mut self, name: impl Into<String>, url: Url) -> Self {
        self.peers.push((name.into(), url));
        self
    }

    /// Looks at everything, side by side, and returns when the last deadline has passed at the latest. It blocks the
    /// caller; the work is done on threads of its own, so it may be called from inside a runtime, too.
    pub fn examine(self) -> Report {
        let mut report = self.report.clone();
        let (sender, receiver) = mpsc::sync_channel(1);
        let examination = thread::Builder::new().name("telemetry-doctor".to_owned()).spawn(move || {
            // What the doctor does is no telemetry of the process.
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            drop(sender.send(self.run()));
        });
        let result = match examination {
            Ok(_) => receiver.recv().unwrap_or_else(|_| Err("it ended in the middle".to_owned())),
            Err(error) => Err(error.to_string()),
        };
        match result {
            Ok((endpoints, checks)) => {
                report.endpoints = endpoints;
                report.checks.extend(checks);
            }
            Err(error) => report.checks.push(Finding::failed("doctor", "doctor", error)),
        }
        report.finish()
    }

    fn run(self) -> Result<(Vec<Reach>, Vec<Finding>), String> {
        install_crypto_provider();
        let runtime = Builder::new_current_thread()
            .enable_all()
            // The threads that resolve names live as long as their suppression.
            .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
            .build()
            .map_err(|error| error.to_string())?;
        let Self { config, options, checks, peers, .. } = self;
        let found = runtime.block_on(async {
            let endpoints = Target::of(&config).into_iter().map(|target| target.reach(&config, options));
            let peers = peers.into_iter().map(|(name, url)| reach::peer(name, url, options));
            let checks = checks.into_iter().map(|check| run_check(check, options.stage_deadline));
            let (endpoints, checks, peers) =
                tokio::join!(join_all(endpoints), join_all(checks), join_all(peers));
            (endpoints, checks.into_iter().chain(peers).collect())
        });
        // A name that is still being resolved must not keep the process.
        runtime.shutdown_background();
        Ok(found)
    }
}

/// Longer than any stage takes that works, over a continent too; short enough to wait for.
const STAGE_DEADLINE: Duration = Duration::from_secs(5);

async fn run_check(check: Check, deadline: Duration) -> Finding {
    let Check { subject, run } = check;
    match on_thread(run, deadline).await {
        Ok(finding) => finding,
        Err(why) => Finding::failed("check", subject, why),
    }
}

/// Runs what blocks on a thread of its own, and waits for it no longer than `deadline`.
async fn on_thread<T: Send + 'static>(
    run: impl FnOnce() -> T + Send + 'static,
    deadline: Duration,
) -> Result<T, String> {
    let (sender, receiver) = oneshot::channel();
    let thread = thread::Builder::new().name("telemetry-doctor".to_owned()).spawn(move || {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        // Nobody waits any more where the deadline came first.
        drop(sender.send(run()));
    });
    thread.map_err(|error| error.to_string())?;
    match timeout(deadline, receiver).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err("it ended in the middle".to_owned()),
        Err(_) => Err(format!("no end of it after {}", time(deadline))),
    }
}

fn is_grpc(otlp: &Otlp) -> bool {
    otlp.protocol == Protocol::Grpc
}

/// `300 ms` or `5 s`.
fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) || duration.subsec_millis() > 0 {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs())
    }
}
