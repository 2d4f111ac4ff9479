//! `doctor`: what is wrong with this service's telemetry, database, peers and secrets, told before it starts.

use telemetry_core::config::Env;
use telemetry_core::doctor::{Examination, Finding, Report};

use super::configuration::Configuration;
use crate::Service;
use crate::config::DEVELOPMENT_DEFAULT;
use crate::db::{DatabaseConfig, DatabaseUrl};

/// Looks at everything that the service `S` would be started with. `probe` is whether anything is sent on the way.
pub(super) fn examine<S: Service>(env: Env, probe: bool) -> Report {
    let (Configuration { telemetry, settings, .. }, env) = Configuration::<S>::read(env);
    let defaults: Vec<String> = env
        .settings()
        .iter()
        .filter(|setting| setting.value == DEVELOPMENT_DEFAULT)
        .map(|setting| setting.name.clone())
        .collect();
    let mut examination = Examination::new(&telemetry, env)
        .shutdown_deadline(settings.server.shutdown_timeout)
        .check("database", move || look_at(&settings.database));
    for secret in defaults {
        examination = examination.finding(
            Finding::warning(
                "development_secret",
                &secret,
                "the development default, which everybody can read",
            )
            .advise(format!(
                "a secret of its own in {secret} or {secret}_FILE; anywhere but in development it is a must"
            )),
        );
    }
    for peer in S::peers(&settings.service) {
        let mut url = peer.url.clone();
        url.set_path(&format!("{}/health", peer.url.path().trim_end_matches('/')));
        examination = examination.peer(peer.name, url);
    }
    if probe { examination.examine() } else { examination.without_probe().examine() }
}

/// Asks the database for a sign of life, and makes or changes nothing.
fn look_at(database: &DatabaseConfig) -> Finding {
    const SUBJECT: &str = "database";
    let shown = format!("{:?}", database.url);
    if let DatabaseUrl::Sqlite(file) = &database.url
        && !file.exists()
    {
        return Finding::note(SUBJECT, format!("{shown}: not there yet; serve and migrate make it"));
    }
    match database.ping() {
        Ok(()) => Finding::ok(SUBJECT, format!("{shown} answers")),
        Err(error) => Finding::failed("database", SUBJECT, format!("{shown}: {error:#}"))
            .advise("a database that runs and lets this service in, or another DATABASE_URL"),
    }
}
