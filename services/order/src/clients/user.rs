//! The user service: who is behind an access token.

use serde::{Deserialize, Serialize};
use service_kit::peer::{Peer, PeerError};

use crate::domain::Customer;

/// The user service.
#[derive(Clone)]
pub struct Users {
    peer: Peer,
}

impl Users {
    /// The user service at this address.
    pub fn new(peer: Peer) -> Self {
        Self { peer }
    }

    /// The active user whose access token this is.
    ///
    /// # Errors
    /// Where the token proves nothing, the user may not order, or the service gives no answer.
    pub async fn validate(&self, token: &str) -> Result<Customer, ValidateError> {
        let answer: ValidatedUser = self
            .peer
            .post("/internal/tokens/validate")
            .json(&ValidateRequest { token })
            .idempotent()
            .send()
            .await?;
        Ok(Customer {
            user_id: answer.user_id,
            tenant_id: answer.tenant_id,
            tenant_name: answer.tenant_name,
            tier: answer.tier,
        })
    }
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

impl From<PeerError> for ValidateError {
    fn from(error: PeerError) -> Self {
        match error.code() {
            Some("invalid_token") => Self::InvalidToken,
            Some("user_inactive") => Self::Inactive,
            _ => Self::Unavailable(error),
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
}
