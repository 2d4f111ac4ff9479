//! The variables every service reads.
//!
//! Reading notes mistakes in the [`Env`] and goes on, so that all of them are told at once.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use actix_web::http::Uri;
use secrecy::{ExposeSecret, SecretString};
use telemetry_core::config::{Env, Source};

use crate::Service;
use crate::db::DatabaseConfig;
use crate::metrics_access::MetricsAccess;
use crate::token::ServiceTokens;

/// Outside development a secret has at least the length of the hash it keys (RFC 7518, 3.2).
const SECRET_MIN_BYTES: usize = 32;

/// Random bytes in hexadecimal have 13 to 16 different digits in 32; `aaaa…` and `changeme…` have fewer than this.
const SECRET_MIN_DIFFERENT: usize = 9;

/// How the summary of the configuration shows a secret that stands in the source code.
pub(crate) const DEVELOPMENT_DEFAULT: &str = "development default";

/// Everything a service is configured by, its telemetry aside.
pub struct Settings<S: Service> {
    /// Where it listens and how it stops.
    pub server: ServerConfig,
    /// Where it keeps its rows.
    pub database: DatabaseConfig,
    /// How it proves to other services who it is.
    pub tokens: ServiceTokens,
    /// Who may read its metrics.
    pub metrics: MetricsAccess,
    /// What only this service has.
    pub service: S::Settings,
}

impl<S: Service> Settings<S> {
    /// Reads all of it.
    pub fn read(env: &mut Env) -> Self {
        Self {
            server: ServerConfig::read(env, S::PORT),
            database: DatabaseConfig::read(env, S::NAME),
            tokens: ServiceTokens::read(env, S::NAME),
            metrics: MetricsAccess::read(env),
            service: S::settings(env),
        }
    }
}

/// Where a service listens, and how it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// `HOST`, an IP address. Default 127.0.0.1: what listens to the world says so.
    pub host: IpAddr,
    /// `PORT`. Default the service's own; 0 takes a free one.
    pub port: u16,
    /// `WORKERS`, threads that serve requests, 1 to 64. Default 2: each costs memory, and waiting for
    /// the database happens elsewhere.
    pub workers: usize,
    /// `SHUTDOWN_TIMEOUT`, whole seconds, 2 to 600, for all of shutting down. Default 10, which is what
    /// container runtimes give before they kill.
    pub shutdown_timeout: Duration,
    /// `CORS_ALLOWED_ORIGINS`, comma-separated origins (`https://shop.example`). Default none.
    pub cors_allowed_origins: Vec<String>,
    /// How much is at work at a time.
    pub admission: AdmissionConfig,
}

/// How many requests are at work, how many wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionConfig {
    /// `MAX_CONCURRENT_REQUESTS`, 1 to 65536. Default 16 for each core: enough to keep it busy while most of them wait for
    /// a peer or the database, and few enough that each is done soon.
    pub at_work: usize,
    /// `MAX_QUEUED_REQUESTS`, 0 to 65536. Default as many: they wait for as long as one takes.
    pub waiting: usize,
    /// `QUEUE_TIMEOUT_MS`, 0 to 60000. Default 250: an answer that comes later than that is late whatever comes then.
    pub patience: Duration,
    /// `REQUEST_TIMEOUT_MS`, 100 to 3600000, since the last byte of the body. Default 30000: no caller of ours waits for
    /// longer. A caller may ask for less.
    pub request_timeout: Duration,
}

/// [`AdmissionConfig::at_work`] for each core, where nobody says how many.
const PER_CORE: usize = 16;

/// The cores that this process may use: a container's limit counts.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl AdmissionConfig {
    fn read(env: &mut Env) -> Self {
        let requests = "a number of requests";
        let default = (PER_CORE * cores()).min(65_536);
        let at_work = number_within(env, "MAX_CONCURRENT_REQUESTS", default, 1..=65_536, requests);
        let waiting = number_within(env, "MAX_QUEUED_REQUESTS", at_work, 0..=65_536, requests);
        let patience = number_within(env, "QUEUE_TIMEOUT_MS", 250, 0..=60_000, "milliseconds");
        let timeout = number_within(env, "REQUEST_TIMEOUT_MS", 30_000, 100..=3_600_000, "milliseconds");
        let (patience, request_timeout) = (Duration::from_millis(patience), Duration::from_millis(timeout));
        Self { at_work, waiting, patience, request_timeout }
    }
}

impl ServerConfig {
    /// Reads the variables; `port` is the service's own.
    pub fn read(env: &mut Env, port: u16) -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let host = env.setting("HOST", loopback, "an IP address, such as 127.0.0.1 or 0.0.0.0");
        let port = env.setting("PORT", port, "a port, 0 to 65535");
        let workers = number_within(env, "WORKERS", 2, 1..=64, "a number of threads");
        let seconds = number_within(env, "SHUTDOWN_TIMEOUT", 10, 2..=600, "whole seconds");
        let origins = env.parse_with("CORS_ALLOWED_ORIGINS", ORIGINS, origins).unwrap_or_default();
        record(
            env,
            "CORS_ALLOWED_ORIGINS",
            if origins.is_empty() { "none".into() } else { origins.join(",") },
        );
        let shutdown_timeout = Duration::from_secs(seconds);
        let admission = AdmissionConfig::read(env);
        Self { host, port, workers, shutdown_timeout, cors_allowed_origins: origins, admission }
    }

    /// The address to bind.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// A whole number within bounds, or `default` where it is unset or wrong. `what` says what it counts.
pub fn number_within<T>(env: &mut Env, name: &str, default: T, bounds: RangeInclusive<T>, what: &str) -> T
where
    T: FromStr + PartialOrd + Display,
{
    let expected = format!("{what}, {} to {}", bounds.start(), bounds.end());
    let parse = |text: &str| text.parse().ok().filter(|number| bounds.contains(number));
    let number = env.parse_with(name, &expected, parse).unwrap_or(default);
    record(env, name, number.to_string());
    number
}

/// Adds a value in force to the summary of the configuration. Not for secrets.
pub(crate) fn record(env: &mut Env, name: &str, value: String) {
    let source = if env.text(name).is_some() { Source::Environment } else { Source::Default };
    env.record(name, value, source);
}

/// A secret, from the variable `name` or from the file that `{name}_FILE` names.
///
/// In development (`ENVIRONMENT` is unset or `development`, and `HOST` is a loopback address) it defaults
/// to `development_default`. Anywhere else a secret that is missing, shorter than 32 bytes, or the development default itself is
/// a mistake: a service that signs with a secret from its own source code signs nothing.
pub fn secret(env: &mut Env, name: &str, development_default: &str) -> SecretString {
    let secret = read_secret(env, name, development_default);
    let is_default = secret.expose_secret() == development_default;
    let source = if is_default { Source::Default } else { Source::Environment };
    env.record(name, if is_default { DEVELOPMENT_DEFAULT } else { "(secret)" }, source);
    secret
}

/// A secret that may be missing: from the variable `name` or from the file that `{name}_FILE` names. One that is
/// given must be good, as for [`secret`].
pub fn optional_secret(env: &mut Env, name: &str) -> Option<SecretString> {
    let given = given_secret(env, name).unwrap_or_default();
    if let Some(given) = &given
        && !is_development(env)
    {
        check_secret(env, name, given, None);
    }
    let source = if given.is_some() { Source::Environment } else { Source::Default };
    env.record(name, if given.is_some() { "(secret)" } else { "none" }, source);
    given
}

fn read_secret(env: &mut Env, name: &str, development_default: &str) -> SecretString {
    let development = is_development(env);
    let Ok(given) = given_secret(env, name) else { return development_default.into() };
    let Some(given) = given else {
        if !development {
            env.reject(name, "", &format!("a secret of {SECRET_MIN_BYTES} bytes or more (or {name}_FILE)"));
        }
        return development_default.into();
    };
    if !development {
        check_secret(env, name, &given, Some(development_default));
    }
    given
}

/// Where `ENVIRONMENT` says so or nothing, and nobody from outside can reach the service.
fn is_development(env: &Env) -> bool {
    env.text("ENVIRONMENT").is_none_or(|environment| environment == "development") && is_local(env)
}

/// Whether `HOST` is a loopback address, as it is by default.
pub(crate) fn is_local(env: &Env) -> bool {
    let is_loopback = |host: String| host.parse().is_ok_and(|host: IpAddr| host.is_loopback());
    env.text("HOST").is_none_or(is_loopback)
}

/// The secret as it was given, if it was; `Err` where the mistake is noted.
fn given_secret(env: &mut Env, name: &str) -> Result<Option<SecretString>, ()> {
    let file_variable = format!("{name}_FILE");
    match (env.text(name), env.text(&file_variable)) {
        (Some(_), Some(path)) => {
            env.reject(&file_variable, &path, &format!("only one of {name} and {file_variable}"));
            Err(())
        }
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned().into())),
            Err(error) => {
                env.reject(&file_variable, &path, &format!("a file that can be read ({error})"));
                Err(())
            }
        },
        (given, None) => Ok(given.map(SecretString::from)),
    }
}

/// Notes a secret that is weak: too short, one letter over and over, or known from the source code.
fn check_secret(env: &mut Env, name: &str, given: &SecretString, development_default: Option<&str>) {
    let text = given.expose_secret();
    let different: HashSet<u8> = text.bytes().collect();
    if text.len() < SECRET_MIN_BYTES
        || different.len() < SECRET_MIN_DIFFERENT
        || development_default.is_some_and(|default| text == default)
    {
        env.reject(
            name,
            "",
            &format!(
                "a random secret of its own of {SECRET_MIN_BYTES} bytes or more where ENVIRONMENT is not development"
            ),
        );
    }
}

const ORIGINS: &str =
    "comma-separated origins, each a scheme and a host such as https://shop.example, without a path";

/// A browser compares origins letter by letter, so only the exact form can ever match.
fn origins(text: &str) -> Option<Vec<String>> {
    text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(origin).collect()
}

fn origin(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    let exact = format!("{scheme}://{}", uri.authority()?);
    (text == exact).then_some(exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = "development only";

    fn mistakes(env: Env) -> Vec<String> {
        env.finish()
            .err()
            .map(|error| error.mistakes().iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let mut env = Env::of::<&str, &str>([]);
        let server = ServerConfig::read(&mut env, 8081);
        assert_eq!(server.address().to_string(), "127.0.0.1:8081");
        assert_eq!(server.workers, 2);
        assert_eq!(server.shutdown_timeout, Duration::from_secs(10));
        assert_eq!(server.cors_allowed_origins, Vec::<String>::new());
        assert_eq!(mistakes(env), Vec::<String>::new());
    }

    #[test]
    fn as_many_are_at_work_as_the_cores_take_and_as_many_wait() {
        let read = |variables: &[(&str, &str)]| {
            let config = AdmissionConfig::read(&mut Env::of(variables.iter().copied()));
            (config.at_work, config.waiting)
        };
        let by_cores = PER_CORE * std::thread::available_parallelism().unwrap().get();
        assert_eq!(read(&[]), (by_cores, by_cores));
        assert_eq!(read(&[("MAX_CONCURRENT_REQUESTS", "5")]), (5, 5));
        assert_eq!(read(&[("MAX_QUEUED_REQUESTS", "0")]), (by_cores, 0));
    }

    #[test]
    fn every_mistake_is_told() {
        let mut env = Env::of([
            ("HOST", "everywhere"),
            ("PORT", "65536"),
            ("WORKERS", "0"),
            ("SHUTDOWN_TIMEOUT", "1"),
            ("CORS_ALLOWED_ORIGINS", "https://shop.example/"),
        ]);
        ServerConfig::read(&mut env, 8081);
        let mistakes = mistakes(env);
        let variables: Vec<_> = mistakes.iter().map(|mistake| mistake.split('=').next().unwrap()).collect();
        assert_eq!(variables, ["HOST", "PORT", "WORKERS", "SHUTDOWN_TIMEOUT", "CORS_ALLOWED_ORIGINS"]);
    }

    #[test]
    fn origins_are_taken_in_the_form_browsers_send() {
        assert_eq!(
            origins("https://shop.example, http://localhost:3000,").unwrap(),
            ["https://shop.example", "http://localhost:3000"]
        );
        for wrong in ["shop.example", "*", "ftp://shop.example", "https://shop.example/path", "https://"] {
            assert_eq!(origins(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_secret_may_come_from_a_file() {
        let path = std::env::temp_dir().join(format!("service-kit-secret-{}", uuid::Uuid::now_v7()));
        std::fs::write(&path, "from a file, long enough for production\n").unwrap();
        let mut env = Env::of([("ENVIRONMENT", "production"), ("JWT_SECRET_FILE", path.to_str().unwrap())]);
        let read = secret(&mut env, "JWT_SECRET", DEFAULT);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.expose_secret(), "from a file, long enough for production");
        assert_eq!(mistakes(env), Vec::<String>::new());
    }

    #[test]
    fn a_secret_file_that_is_not_there_is_a_mistake_even_in_development() {
        let mut env = Env::of([("JWT_SECRET_FILE", "/does/not/exist")]);
        secret(&mut env, "JWT_SECRET", DEFAULT);
        assert!(mistakes(env)[0].starts_with("JWT_SECRET_FILE=/does/not/exist: expected a file"));
    }

    #[test]
    fn development_has_a_default_secret_and_production_does_not() {
        let mut development = Env::of([("ENVIRONMENT", "development")]);
        assert_eq!(secret(&mut development, "JWT_SECRET", DEFAULT).expose_secret(), DEFAULT);
        assert_eq!(mistakes(development), Vec::<String>::new());

        let long_default = "a development default that is long enough";
        for given in [vec![], vec![("JWT_SECRET", "hunter2")], vec![("JWT_SECRET", long_default)]] {
            let mut env = Env::of(given.iter().copied().chain([("ENVIRONMENT", "staging")]));
            secret(&mut env, "JWT_SECRET", long_default);
            let mistakes = mistakes(env);
            assert_eq!(mistakes.len(), 1, "{given:?}");
            assert!(!mistakes[0].contains("hunter2"), "a mistake shows the secret: {mistakes:?}");
        }
    }
}
