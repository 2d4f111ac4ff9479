//! Who may read `/metrics`: nobody from outside, unless it is said.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq as _;
use telemetry_core::config::Env;

use crate::Problem;
use crate::config::{is_local, optional_secret};
use crate::problem::code;
use crate::token::bearer;

/// Who may read `/metrics` on the port that requests come to. (The port of `OTEL_EXPORTER_PROMETHEUS_PORT` is
/// another, for the inside alone, and knows nothing of this.)
#[derive(Debug, Clone)]
pub enum MetricsAccess {
    /// Everybody: `METRICS_PUBLIC=true`; the default where `HOST` is a loopback address.
    Everybody,
    /// Whoever shows the bearer token of `METRICS_TOKEN` or `METRICS_TOKEN_FILE`.
    Token(SecretString),
    /// Nobody: the default where `HOST` is any other address.
    Nobody,
}

impl MetricsAccess {
    /// Reads `METRICS_TOKEN`, `METRICS_TOKEN_FILE` and `METRICS_PUBLIC`.
    pub fn read(env: &mut Env) -> Self {
        let token = optional_secret(env, "METRICS_TOKEN");
        let public = env.setting("METRICS_PUBLIC", is_local(env) && token.is_none(), "true or false");
        match token {
            Some(_) if public => {
                env.reject("METRICS_PUBLIC", "true", "only one of METRICS_PUBLIC=true and METRICS_TOKEN");
                Self::Nobody
            }
            Some(token) => Self::Token(token),
            None if public => Self::Everybody,
            None => Self::Nobody,
        }
    }

    /// # Errors
    /// Where this request's sender may not read them.
    pub(crate) fn check(&self, request: &HttpRequest) -> Result<(), Problem> {
        match self {
            Self::Everybody => Ok(()),
            Self::Nobody => Err(Problem::new(
                StatusCode::FORBIDDEN,
                code::METRICS_NOT_PUBLIC,
                "The metrics of this process are not for the outside.",
            )),
            Self::Token(token) => {
                let shown = bearer(request)
                    .ok_or_else(|| Problem::unauthorized(code::MISSING_TOKEN, "The metrics need a token."))?;
                // In constant time: how long it takes tells nothing of how much of a guess is right.
                if bool::from(shown.as_bytes().ct_eq(token.expose_secret().as_bytes())) {
                    Ok(())
                } else {
                    Err(Problem::unauthorized(code::INVALID_TOKEN, "This token is not that of the metrics."))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::AUTHORIZATION;
    use actix_web::test::TestRequest;

    use super::*;

    const TOKEN: &str = "0123456789abcdefghijklmnopqrstuv";

    fn read(variables: &[(&'static str, &'static str)]) -> Result<MetricsAccess, String> {
        let mut env = Env::of(variables.iter().copied());
        let access = MetricsAccess::read(&mut env);
        env.finish().map(|()| access).map_err(|error| error.to_string())
    }

    fn answer(access: &MetricsAccess, authorization: Option<&str>) -> Result<(), &'static str> {
        let mut request = TestRequest::default();
        if let Some(authorization) = authorization {
            request = request.insert_header((AUTHORIZATION, authorization));
        }
        access.check(&request.to_http_request()).map_err(|problem| problem.code())
    }

    #[test]
    fn metrics_are_open_on_the_loopback_address_alone() {
        assert_eq!(answer(&read(&[]).unwrap(), None), Ok(()));
        assert_eq!(answer(&read(&[("HOST", "0.0.0.0")]).unwrap(), None), Err(code::METRICS_NOT_PUBLIC));
        let opened = read(&[("HOST", "0.0.0.0"), ("METRICS_PUBLIC", "true")]).unwrap();
        assert_eq!(answer(&opened, None), Ok(()));
        let closed = read(&[("METRICS_PUBLIC", "false")]).unwrap();
        assert_eq!(answer(&closed, None), Err(code::METRICS_NOT_PUBLIC));
    }

    #[test]
    fn a_token_opens_them_to_whoever_shows_it() {
        for host in ["127.0.0.1", "0.0.0.0"] {
            let access = read(&[("HOST", host), ("METRICS_TOKEN", TOKEN)]).unwrap();
            assert_eq!(answer(&access, None), Err(code::MISSING_TOKEN));
            assert_eq!(answer(&access, Some("Bearer guess")), Err(code::INVALID_TOKEN));
            assert_eq!(answer(&access, Some(&format!("Bearer {TOKEN}"))), Ok(()));
            assert!(!format!("{access:?}").contains(TOKEN), "{access:?}");
        }
    }

    #[test]
    fn a_weak_token_and_one_beside_openness_are_mistakes() {
        let weak = read(&[("HOST", "0.0.0.0"), ("METRICS_TOKEN", "hunter2")]).unwrap_err();
        assert!(weak.contains("METRICS_TOKEN") && !weak.contains("hunter2"), "{weak}");
        let both = read(&[("METRICS_PUBLIC", "true"), ("METRICS_TOKEN", TOKEN)]).unwrap_err();
        assert!(both.contains("METRICS_PUBLIC"), "{both}");
    }
}
