//! Everything a process reads before it starts anything, so that one message tells every mistake.

use telemetry_core::config::{Env, Setting};

use crate::Service;
use crate::config::Settings;

pub(super) struct Configuration<S: Service> {
    pub(super) telemetry: telemetry_core::Config,
    pub(super) settings: Settings<S>,
    /// Each value of `settings` with its source; setting up telemetry logs its own.
    pub(super) summary: Vec<Setting>,
}

impl<S: Service> Configuration<S> {
    /// Only to be used where the environment that comes back finds no mistake.
    pub(super) fn read(env: Env) -> (Self, Env) {
        // These paths take no caller without a service's token (`App` asks for it before it believes baggage), so
        // the tenant is the one that a service of ours has found out. On all others anybody may call, and claim to
        // be anybody's.
        let mut env = env.with_defaults([("BAGGAGE_TRUSTED_URLS", "/internal/*")]);
        let telemetry = telemetry_core::Config::read(S::NAME, S::VERSION, &mut env);
        let settings = Settings::read(&mut env);
        let summary = env.settings()[telemetry.settings().len()..].to_vec();
        (Self { telemetry, settings, summary }, env)
    }
}
