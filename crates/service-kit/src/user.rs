//! Who a person is that calls: their access token, shown to the user service at each request, so that what they may do
//! is what they may do now.
//!
//! A service that takes people's calls adds [`Users`] to its application's data, and its handlers take an
//! [`AuthenticatedUser`], or an [`Admin`] where only those may.

use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::span;

use crate::Problem;
use crate::peer::{Peer, PeerConfig, PeerError};
use crate::problem::code;
use crate::token::BearerToken;

/// The user service's name.
pub const SERVICE: &str = "user-service";

/// Reads where the user service is: `USER_URL`, default `http://127.0.0.1:8081`; `USER_TIMEOUT_MS`, default 2000.
pub fn config(env: &mut Env) -> PeerConfig {
    PeerConfig::read(env, SERVICE, "USER", "http://127.0.0.1:8081", Duration::from_secs(2))
}

/// An active user, and the tenant they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id.
    pub id: String,
    /// The tenant's id.
    pub tenant_id: String,
    /// The tenant's name.
    pub tenant_name: String,
    /// What the user pays for, such as `free`.
    pub tier: String,
    /// What the user may do.
    pub role: Role,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Buys, and sees their own.
    #[default]
    Customer,
    /// Works for the house: keeps the catalogue and the stock, and gives money back.
    Admin,
}

impl User {
    /// What of the user travels with the trace to every service below.
    pub fn baggage(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("tenant.id", self.tenant_id.clone()),
            KeyValue::new("tenant.name", self.tenant_name.clone()),
        ]
    }
}

/// The user service, as it is asked about access tokens. Cheap to clone.
#[derive(Clone)]
pub struct Users {
    peer: Peer,
}

/// Why a token was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// It is none of ours, has expired, or its user is gone.
    #[error("Invalid access token")]
    InvalidToken,
    /// The user exists and may not act.
    #[error("User inactive")]
    Inactive,
    /// Nobody knows.
    #[error("User service unavailable")]
    Unavailable(#[source] PeerError),
}

impl Users {
    /// The user service behind this peer.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// The active user whose access token this is.
    ///
    /// # Errors
    /// Where the token proves nothing, the user may not act, or the service gives no answer.
    #[tracing::instrument(name = "validate_user_token", skip_all)]
    pub async fn validate(&self, token: &SecretString) -> Result<User, ValidateError> {
        let result = self.ask(token).await;
        match &result {
            Ok(user) => span::set_attribute("user.id", user.id.clone()),
            Err(error) => span::fail(error.to_string()),
        }
        result
    }

    async fn ask(&self, token: &SecretString) -> Result<User, ValidateError> {
        let request = ValidateRequest { token: token.expose_secret() };
        let call = self.peer.post("/internal/tokens/validate").json(&request).idempotent();
        let ValidatedUser { user_id, tenant_id, tenant_name, tier, role } = call.send().await?;
        Ok(User { id: user_id, tenant_id, tenant_name, tier, role })
    }
}

impl From<PeerError> for ValidateError {
    fn from(error: PeerError) -> Self {
        match error.code() {
            Some(code::INVALID_TOKEN) => Self::InvalidToken,
            Some(code::USER_INACTIVE) => Self::Inactive,
            _ => Self::Unavailable(error),
        }
    }
}

impl From<ValidateError> for Problem {
    fn from(error: ValidateError) -> Self {
        match error {
            ValidateError::InvalidToken => {
                Self::unauthorized(code::INVALID_TOKEN, "The access token is not valid, or has expired.")
            }
            ValidateError::Inactive => {
                Self::new(StatusCode::FORBIDDEN, code::USER_INACTIVE, "This user is not active.")
            }
            ValidateError::Unavailable(_) => {
                Self::unavailable(code::USER_UNAVAILABLE, "The user service gives no answer.")
                    .caused_by(error)
            }
        }
    }
}

#[derive(Serialize)]
struct ValidateRequest<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct ValidatedUser {
    user_id: String,
    tenant_id: String,
    tenant_name: String,
    tier: String,
    /// A user service from before there were roles names none.
    #[serde(default)]
    role: Role,
}

/// Extractor: the active user behind the request's access token. The handler runs only where there is one.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser(pub User);

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for AuthenticatedUser {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let token = BearerToken::from_request(request, payload).into_inner();
        authenticate(request, token.map(|token| token.0))
    }
}

/// Extractor: an active user who is an admin; 403 `not_an_admin` for anybody else.
#[derive(Debug, Clone)]
pub struct Admin(pub User);

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user = AuthenticatedUser::from_request(request, payload);
        Box::pin(async move {
            let AuthenticatedUser(user) = user.await?;
            match user.role {
                Role::Admin => Ok(Self(user)),
                Role::Customer => {
                    Err(Problem::new(StatusCode::FORBIDDEN, code::NOT_AN_ADMIN, "Only an admin may do this."))
                }
            }
        })
    }
}

/// Like [`AuthenticatedUser`] for a WebSocket. Browsers let no page set a header of one but the protocols that it offers,
/// so the access token may be offered as `bearer.<token>` instead. It is never in the URL, which ends up in logs.
#[derive(Debug, Clone)]
pub struct AuthenticatedSocket(pub User);

/// What stands before the token among the protocols.
const TOKEN_PROTOCOL: &str = "bearer.";

impl FromRequest for AuthenticatedSocket {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let mut protocols = offered.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let token = protocols.find_map(|protocol| protocol.trim().strip_prefix(TOKEN_PROTOCOL));
        let user = match token.filter(|_| !request.headers().contains_key(header::AUTHORIZATION)) {
            Some(token) => authenticate(request, Ok(SecretString::from(token))),
            None => AuthenticatedUser::from_request(request, payload),
        };
        Box::pin(async move { user.await.map(|AuthenticatedUser(user)| Self(user)) })
    }
}

fn authenticate(
    request: &HttpRequest,
    token: Result<SecretString, Problem>,
) -> Extraction<AuthenticatedUser> {
    let users = request.app_data::<web::Data<Users>>().cloned();
    Box::pin(async move {
        let users = users.expect("a service that takes people's calls adds Users to its application");
        let user = users.validate(&token?).await?;
        for attribute in user.baggage() {
            span::set_attribute(attribute.key, attribute.value);
        }
        span::set_attribute("user.id", user.id.clone());
        Ok(AuthenticatedUser(user))
    })
}
