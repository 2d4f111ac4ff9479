//! The extractor of who orders: the access token, shown to the user service.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use secrecy::{ExposeSecret, SecretString};
use service_kit::Problem;
use service_kit::token::BearerToken;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::span;

use crate::clients::{Users, ValidateError};
use crate::domain::Customer;

/// The active user behind the request's access token. The handler runs only where there is one.
pub(super) struct Authenticated(pub(super) Customer);

impl Authenticated {
    /// What of the customer travels with the trace to every service below.
    pub(super) fn baggage(&self) -> [KeyValue; 2] {
        [
            KeyValue::new("tenant.id", self.0.tenant_id.clone()),
            KeyValue::new("tenant.name", self.0.tenant_name.clone()),
        ]
    }
}

type Extraction<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let token = BearerToken::from_request(request, payload).into_inner();
        authenticate(request, token.map(|token| token.0))
    }
}

/// Like [`Authenticated`] for a WebSocket. Browsers let no page set a header of one but the protocols that it offers,
/// so the access token may be offered as `bearer.<token>` instead. It is never in the URL, which ends up in logs.
pub(super) struct AuthenticatedSocket(pub(super) Authenticated);

/// What stands before the token among the protocols.
const TOKEN_PROTOCOL: &str = "bearer.";

impl FromRequest for AuthenticatedSocket {
    type Error = Problem;
    type Future = Extraction<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
        let mut protocols = offered.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
        let token = protocols.find_map(|protocol| protocol.trim().strip_prefix(TOKEN_PROTOCOL));
        let customer = match token.filter(|_| !request.headers().contains_key(header::AUTHORIZATION)) {
            Some(token) => authenticate(request, Ok(SecretString::from(token))),
            None => Authenticated::from_request(request, payload),
        };
        Box::pin(async move { customer.await.map(Self) })
    }
}

fn authenticate(request: &HttpRequest, token: Result<SecretString, Problem>) -> Extraction<Authenticated> {
    let users = request.app_data::<web::Data<Users>>().cloned();
    Box::pin(async move {
        let users = users.expect("the service adds its clients to the application");
        let customer = Authenticated(validate_user_token(&users, token?.expose_secret()).await?);
        for attribute in customer.baggage() {
            span::set_attribute(attribute.key, attribute.value);
        }
        span::set_attribute("user.id", customer.0.user_id.clone());
        Ok(customer)
    })
}

#[tracing::instrument(name = "validate_user_token", skip_all)]
async fn validate_user_token(users: &Users, token: &str) -> Result<Customer, ValidateError> {
    let result = users.validate(token).await;
    match &result {
        Ok(customer) => span::set_attribute("user.id", customer.user_id.clone()),
        Err(error) => span::fail(error.to_string()),
    }
    result
}
