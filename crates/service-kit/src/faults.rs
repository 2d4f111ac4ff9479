//! Faults on purpose, for showing what a failure looks like in the telemetry.
//!
//! They are off, and cannot be switched on, unless the process was started with `FAULTS=on`; then
//! `GET` and `PUT /internal/faults` read and replace them, for callers with a service token. No header of a
//! request's, and nobody who is no service of ours, can switch one.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use service_kit::faults::Faults;
//! use telemetry_core::config::Env;
//!
//! #[derive(Debug, Clone, Default, Serialize, Deserialize)]
//! #[serde(default, deny_unknown_fields)]
//! struct MailFaults {
//!     lose_every: u32,
//! }
//!
//! let faults = Faults::<MailFaults>::read(&mut Env::of::<&str, &str>([]));
//! assert_eq!(faults.current().lose_every, 0); // off, whatever was asked for
//! ```

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::web::{self, ServiceConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetry_core::config::Env;

use crate::config::record;
use crate::token::ServiceCaller;

/// Where faults are switched, in a process that allows it.
pub const PATH: &str = "/internal/faults";

/// The faults that one process can be told to have; `T::default()` has none. Cheap to clone; clones share
/// the switch.
pub struct Faults<T> {
    /// `None` where they cannot be switched on.
    switched: Option<Arc<RwLock<T>>>,
}

/// A process's faults, as a document that replaces the one before it.
pub trait FaultDocument: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Default + Serialize + DeserializeOwned + Send + Sync + 'static> FaultDocument for T {}

impl<T: FaultDocument> Faults<T> {
    /// Reads `FAULTS`: `on`, or `off`, which is the default.
    pub fn read(env: &mut Env) -> Self {
        let allowed = env.parse_with("FAULTS", "on or off", on_or_off).unwrap_or(false);
        record(env, "FAULTS", if allowed { "on" } else { "off" }.to_owned());
        if allowed {
            env.warn("FAULTS", "who has a service token can make this process fail on purpose");
        }
        Self { switched: allowed.then(Arc::default) }
    }

    /// Whether they can be switched on.
    pub fn are_allowed(&self) -> bool {
        self.switched.is_some()
    }

    /// Those that are on now.
    pub fn current(&self) -> T {
        let Some(switched) = &self.switched else { return T::default() };
        switched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, faults: T) {
        if let Some(switched) = &self.switched {
            *switched.write().unwrap_or_else(PoisonError::into_inner) = faults;
        }
    }

    /// Adds [`PATH`], where faults are allowed; elsewhere there is nothing at that path. The application has
    /// the process's [`ServiceTokens`](crate::token::ServiceTokens) as `web::Data`.
    pub fn routes(&self, config: &mut ServiceConfig) {
        if self.are_allowed() {
            config.app_data(web::Data::new(self.clone())).service(
                web::resource(PATH).route(web::get().to(read::<T>)).route(web::put().to(replace::<T>)),
            );
        }
    }
}

async fn read<T: FaultDocument>(_caller: ServiceCaller, faults: web::Data<Faults<T>>) -> web::Json<T> {
    web::Json(faults.current())
}

async fn replace<T: FaultDocument>(
    caller: ServiceCaller,
    faults: web::Data<Faults<T>>,
    new: web::Json<T>,
) -> web::Json<T> {
    faults.replace(new.into_inner());
    let faults = faults.current();
    let told = serde_json::to_string(&faults).unwrap_or_default();
    tracing::warn!("{} switched faults: {told}", caller.service);
    web::Json(faults)
}

fn on_or_off(text: &str) -> Option<bool> {
    match text {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

impl<T> Clone for Faults<T> {
    fn clone(&self) -> Self {
        Self { switched: self.switched.clone() }
    }
}

/// Faults that cannot be switched on.
impl<T> Default for Faults<T> {
    fn default() -> Self {
        Self { switched: None }
    }
}

impl<T> fmt::Debug for Faults<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.switched.is_some() { "Faults(on)" } else { "Faults(off)" })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use secrecy::{ExposeSecret, SecretString};
    use serde::Deserialize;

    use super::*;
    use crate::token::ServiceTokens;

    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Some {
        slow_ms: u64,
    }

    fn faults(value: &str) -> Faults<Some> {
        Faults::read(&mut Env::of([("FAULTS", value)]))
    }

    /// The status of a PUT with this authorization, and the faults after it.
    async fn put(faults: &Faults<Some>, authorization: Option<String>, body: &str) -> (StatusCode, Some) {
        let tokens = ServiceTokens::new("shop-service", &SecretString::from("a secret"));
        let app = actix_web::App::new().app_data(web::Data::new(tokens)).configure(|c| faults.routes(c));
        let app = init_service(app).await;
        let mut request = TestRequest::put().uri(PATH).insert_header(("content-type", "application/json"));
        if let Some(authorization) = authorization {
            request = request.insert_header(("authorization", authorization));
        }
        let answer = call_service(&app, request.set_payload(body.to_owned()).to_request()).await;
        let status = answer.status();
        if status.is_success() {
            assert_eq!(read_body_json::<Some, _>(answer).await, faults.current());
        }
        (status, faults.current())
    }

    fn token(secret: &str, audience: &str) -> Option<String> {
        let tokens = ServiceTokens::new("demo", &SecretString::from(secret));
        Some(format!("Bearer {}", tokens.issue(audience, None).expose_secret()))
    }

    const SLOW: &str = r#"{"slow_ms":5}"#;

    #[actix_web::test]
    async fn a_service_switches_faults_and_switches_them_off_again() {
        let faults = faults("on");
        let good = || token("a secret", "shop-service");
        assert_eq!(put(&faults, good(), SLOW).await, (StatusCode::OK, Some { slow_ms: 5 }));
        assert_eq!(put(&faults, good(), "{}").await, (StatusCode::OK, Some::default()));
        let (status, unchanged) = put(&faults, good(), r#"{"slow":5}"#).await;
        assert_eq!((status, unchanged), (StatusCode::BAD_REQUEST, Some::default()));
    }

    #[actix_web::test]
    async fn nobody_else_does() {
        let faults = faults("on");
        for token in [None, token("another secret", "shop-service"), token("a secret", "mail-service")] {
            assert_eq!(put(&faults, token, SLOW).await, (StatusCode::UNAUTHORIZED, Some::default()));
        }
    }

    #[actix_web::test]
    async fn a_process_that_was_not_started_for_it_has_neither_the_path_nor_faults() {
        for faults in [faults("off"), Faults::read(&mut Env::of::<&str, &str>([])), Faults::default()] {
            let good = token("a secret", "shop-service");
            assert_eq!(put(&faults, good, SLOW).await, (StatusCode::NOT_FOUND, Some::default()));
        }
    }

    #[test]
    fn anything_but_on_and_off_is_a_mistake() {
        let mut env = Env::of([("FAULTS", "yes")]);
        assert!(!Faults::<Some>::read(&mut env).are_allowed());
        assert!(env.finish().is_err());
    }
}
