//! The extractor of who orders: the access token, shown to the user service.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use secrecy::ExposeSecret;
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

impl FromRequest for Authenticated {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let token = BearerToken::from_request(request, payload).into_inner();
        let users = request.app_data::<web::Data<Users>>().cloned();
        Box::pin(async move {
            let users = users.expect("the service adds its clients to the application");
            let customer = validate_user_token(&users, token?.0.expose_secret()).await?;
            for attribute in Authenticated(customer.clone()).baggage() {
                span::set_attribute(attribute.key, attribute.value);
            }
            span::set_attribute("user.id", customer.user_id.clone());
            Ok(Self(customer))
        })
    }
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
