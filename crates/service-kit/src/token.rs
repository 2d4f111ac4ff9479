//! Who is calling: bearer tokens, and the short-lived tokens that services give each other.
//!
//! A service token is a JWT signed with HS256 under a secret that all services share. It says which
//! service calls (`iss`), which one it calls (`aud`) and for which user (`sub`, empty for none), and
//! lives a minute: long enough for any call's deadline, too short to be worth keeping.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, web};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use telemetry_core::config::Env;

use crate::Problem;
use crate::config;
use crate::problem::code;

const LIFETIME_SECONDS: i64 = 60;

/// How far the clocks of two hosts may be apart.
const LEEWAY_SECONDS: u64 = 5;

const DEVELOPMENT_SECRET: &str = "development only: the secret that services share";

/// Makes and checks the tokens of one service. Cheap to clone.
#[derive(Clone)]
pub struct ServiceTokens {
    inner: Arc<Inner>,
}

struct Inner {
    service: &'static str,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl ServiceTokens {
    /// Reads `SERVICE_TOKEN_SECRET` or `SERVICE_TOKEN_SECRET_FILE`.
    pub fn read(env: &mut Env, service: &'static str) -> Self {
        Self::new(service, &config::secret(env, "SERVICE_TOKEN_SECRET", DEVELOPMENT_SECRET))
    }

    /// The tokens of `service` under this secret.
    pub fn new(service: &'static str, secret: &SecretString) -> Self {
        // The algorithm is ours to choose, never the token's header's.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_audience(&[service]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        let secret = secret.expose_secret().as_bytes();
        Self {
            inner: Arc::new(Inner {
                service,
                encoding: EncodingKey::from_secret(secret),
                decoding: DecodingKey::from_secret(secret),
                validation,
            }),
        }
    }

    /// A token for one call to the service `audience`, on behalf of the user `user_id`.
    pub fn issue(&self, audience: &str, user_id: Option<&str>) -> SecretString {
        let claims = Claims {
            iss: self.inner.service.to_owned(),
            aud: audience.to_owned(),
            sub: user_id.unwrap_or_default().to_owned(),
            exp: chrono::Utc::now().timestamp() + LIFETIME_SECONDS,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.inner.encoding)
            .expect("claims of strings and a number are JSON, and HMAC takes a key of any length")
            .into()
    }

    /// Who made this token, if it is for this service and still good.
    ///
    /// # Errors
    /// What is wrong with it, in words that repeat nothing of it.
    pub fn check(&self, token: &str) -> Result<ServiceCaller, InvalidToken> {
        let claims =
            jsonwebtoken::decode::<Claims>(token, &self.inner.decoding, &self.inner.validation)?.claims;
        let user_id = Some(claims.sub).filter(|user_id| !user_id.is_empty());
        Ok(ServiceCaller { service: claims.iss, user_id })
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    exp: i64,
}

/// A token that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It was good once.
    #[error("the token has expired")]
    Expired,
    /// It was made for another service.
    #[error("the token is for another audience")]
    WrongAudience,
    /// It is no token, or not one of ours.
    #[error("the token is malformed or its signature is wrong")]
    Forged,
}

impl From<jsonwebtoken::errors::Error> for InvalidToken {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        use jsonwebtoken::errors::ErrorKind;
        match error.kind() {
            ErrorKind::ExpiredSignature => Self::Expired,
            ErrorKind::InvalidAudience => Self::WrongAudience,
            _ => Self::Forged,
        }
    }
}

/// Extractor: the service that calls, proved by its token. No anonymous caller gets past it.
///
/// A request's token is checked once, by whoever asks first: the extractor, or the middleware that decides whether
/// its baggage is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCaller {
    /// The calling service's name, such as `order-service`.
    pub service: String,
    /// The user for whom it calls.
    pub user_id: Option<String>,
}

impl FromRequest for ServiceCaller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(service_caller(request))
    }
}

/// Whether a service of ours makes this request.
pub(crate) fn is_from_service(request: &HttpRequest) -> bool {
    check_once(request).is_some_and(|checked| checked.is_ok())
}

fn service_caller(request: &HttpRequest) -> Result<ServiceCaller, Problem> {
    let checked = check_once(request).ok_or_else(|| {
        Problem::unauthorized(
            code::MISSING_SERVICE_TOKEN,
            "This path is for other services: it needs a service token.",
        )
    })?;
    checked.map_err(|error| {
        Problem::unauthorized(code::INVALID_SERVICE_TOKEN, format!("The service token was refused: {error}."))
    })
}

/// What the request's token was found to be.
#[derive(Clone)]
struct Checked(Result<ServiceCaller, InvalidToken>);

/// Checks the request's token, where it has one; the answer is kept with the request.
fn check_once(request: &HttpRequest) -> Option<Result<ServiceCaller, InvalidToken>> {
    if let Some(Checked(known)) = request.extensions().get() {
        return Some(known.clone());
    }
    let tokens = request
        .app_data::<web::Data<ServiceTokens>>()
        .expect("the application around every service has its ServiceTokens");
    let checked = tokens.check(bearer(request)?);
    request.extensions_mut().insert(Checked(checked.clone()));
    Some(checked)
}

/// Extractor: the text of the `Authorization: Bearer` header, unchecked; 401 `missing_token` without one.
#[derive(Debug, Clone)]
pub struct BearerToken(pub SecretString);

impl FromRequest for BearerToken {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(bearer(request).map(|token| Self(token.into())).ok_or_else(|| {
            Problem::unauthorized(code::MISSING_TOKEN, "This path needs an access token: log in first.")
        }))
    }
}

/// The scheme's name is case-insensitive (RFC 9110, 11.1).
pub(crate) fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn tokens(service: &'static str, secret: &str) -> ServiceTokens {
        ServiceTokens::new(service, &secret.into())
    }

    fn forge(header: &Header, exp: i64, secret: &[u8]) -> String {
        let claims =
            Claims { iss: "order-service".into(), aud: "user-service".into(), sub: String::new(), exp };
        jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn a_token_tells_which_service_calls_for_which_user() {
        let token = tokens("order-service", "s").issue("user-service", Some("u1"));
        assert_eq!(
            tokens("user-service", "s").check(token.expose_secret()),
            Ok(ServiceCaller { service: "order-service".into(), user_id: Some("u1".into()) })
        );
        let token = tokens("order-service", "s").issue("user-service", None);
        assert_eq!(tokens("user-service", "s").check(token.expose_secret()).unwrap().user_id, None);
    }

    #[test]
    fn a_token_is_good_for_one_service_only() {
        let token = tokens("order-service", "s").issue("payment-service", None);
        let checked = tokens("user-service", "s").check(token.expose_secret());
        assert_eq!(checked, Err(InvalidToken::WrongAudience));
    }

    #[test]
    fn expired_foreign_and_unsigned_tokens_are_refused() {
        let user = tokens("user-service", "s");
        let now = chrono::Utc::now().timestamp();
        let hs256 = Header::new(Algorithm::HS256);
        assert!(user.check(&forge(&hs256, now + 60, b"s")).is_ok());
        assert_eq!(user.check(&forge(&hs256, now - 60, b"s")), Err(InvalidToken::Expired));
        assert_eq!(user.check(&forge(&hs256, now + 60, b"other")), Err(InvalidToken::Forged));
        let hs384 = Header::new(Algorithm::HS384);
        assert_eq!(user.check(&forge(&hs384, now + 60, b"s")), Err(InvalidToken::Forged));
        // {"alg":"none"}, {"iss":"order-service","aud":"user-service","sub":"","exp":99999999999}
        let unsigned = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJvcmRlci1zZXJ2aWNlIiwiYXVkIjoidXNlci1zZXJ2aWNlIiwic3ViIjoiIiwiZXhwIjo5OTk5OTk5OTk5OX0.";
        assert_eq!(user.check(unsigned), Err(InvalidToken::Forged));
        assert_eq!(user.check(""), Err(InvalidToken::Forged));
    }

    #[test]
    fn the_bearer_scheme_is_read_in_any_case_and_no_other_scheme_is() {
        let read = |value: &str| {
            let request =
                TestRequest::default().insert_header((header::AUTHORIZATION, value)).to_http_request();
            bearer(&request).map(str::to_owned)
        };
        assert_eq!(read("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(read("bearer  abc").as_deref(), Some("abc"));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("Bearer "), None);
        assert_eq!(read("abc"), None);
    }
}
