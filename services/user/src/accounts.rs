//! Registering, logging in, and telling whose token it is: the flows across store, passwords and tokens.
//!
//! Spans and logs of these flows carry ids only; addresses, names, passwords and tokens never.

use std::net::IpAddr;

use secrecy::SecretString;
use service_kit::db::DatabaseError;
use telemetry_core::span;

use crate::access_tokens::{AccessToken, AccessTokens};
use crate::attempts::{Attempts, Throttled};
use crate::domain::{Email, NewUser, Password, Tenant, User, UserChange, UserId};
use crate::passwords::{HashError, Passwords};
use crate::store::{Credentials, InsertUserError, Users};

/// The error type of a span whose queries failed.
const DATABASE_ERROR: &str = "database_error";

#[derive(Clone)]
pub(crate) struct Accounts {
    users: Users,
    passwords: Passwords,
    tokens: AccessTokens,
    attempts: Attempts,
}

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    #[error(transparent)]
    Insert(#[from] InsertUserError),
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Throttled(#[from] Throttled),
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// Nobody has this address, or it is not their password: which of the two is nobody's business.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    #[error("the user may not act")]
    Inactive,
    /// Also for the right password: whether it was right is not told.
    #[error(transparent)]
    Throttled(#[from] Throttled),
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a token is worth nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ValidateError {
    #[error("the access token is malformed, expired or not ours")]
    InvalidToken,
    #[error("the user may not act")]
    Inactive,
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Accounts {
    pub(crate) fn new(users: Users, passwords: Passwords, tokens: AccessTokens, attempts: Attempts) -> Self {
        Self { users, passwords, tokens, attempts }
    }

    /// Registers someone who comes from outside, from this address.
    pub(crate) async fn register_from(
        &self,
        address: Option<IpAddr>,
        user: NewUser,
        password: Password,
    ) -> Result<User, RegisterError> {
        // Hashing is dear, and that an address is taken tells who is here.
        self.attempts.at_address(address)?;
        self.register(user, password).await
    }

    #[tracing::instrument(name = "user.register", skip_all)]
    pub(crate) async fn register(&self, user: NewUser, password: Password) -> Result<User, RegisterError> {
        let outcome = self.hash_and_insert(user, password).await;
        match &outcome {
            Ok(user) => {
                span::set_attribute("user.id", user.id.to_string());
                span::set_attribute("tenant.id", user.tenant_id.to_string());
                tracing::info!(user.id = %user.id, "registered a user");
            }
            Err(RegisterError::Insert(InsertUserError::EmailTaken)) => span::fail("E-mail address taken"),
            Err(RegisterError::Insert(InsertUserError::UnknownTenant)) => span::fail("Unknown tenant"),
            Err(RegisterError::Insert(InsertUserError::Database(error))) => {
                span::record_error(error, DATABASE_ERROR);
            }
            Err(RegisterError::Hash(error)) => span::record_error(error, "hash_error"),
            Err(RegisterError::Throttled(throttled)) => span::fail(throttled.to_string()),
        }
        outcome
    }

    async fn hash_and_insert(&self, user: NewUser, password: Password) -> Result<User, RegisterError> {
        let hash = self.passwords.hash(password).await?;
        Ok(self.users.insert(user, hash).await?)
    }

    /// An access token for whoever has this mailbox and this password, and has not tried too often. A mailbox that
    /// nobody can have fails like one that nobody has, and as late.
    #[tracing::instrument(name = "user.login", skip_all)]
    pub(crate) async fn log_in(
        &self,
        address: Option<IpAddr>,
        email: &str,
        password: Password,
    ) -> Result<AccessToken, LoginError> {
        let outcome = self.authenticate(address, email, password).await;
        span::set_attribute("auth.success", outcome.is_ok());
        match &outcome {
            Ok(user) => {
                span::set_attribute("user.id", user.to_string());
                tracing::info!(user.id = %user, "logged in");
            }
            Err(LoginError::InvalidCredentials | LoginError::Inactive) => span::fail("Authentication failed"),
            Err(LoginError::Throttled(throttled)) => {
                span::set_attribute("throttle.scope", throttled.scope.as_str());
                span::fail("Too many tries");
            }
            Err(LoginError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome.map(|user| self.tokens.issue(user))
    }

    async fn authenticate(
        &self,
        address: Option<IpAddr>,
        email: &str,
        password: Password,
    ) -> Result<UserId, LoginError> {
        self.attempts.at_address(address)?;
        let parsed = Email::parse(email).ok();
        let mailbox = parsed.as_ref().map_or_else(|| email.to_lowercase(), Email::normalised);
        self.attempts.at_account(&mailbox)?;
        let credentials = match parsed {
            Some(email) => self.users.find_credentials(&email).await?,
            None => None,
        };
        let (user, hash) =
            credentials.map(|Credentials { user, password_hash }| (user, password_hash)).unzip();
        if !self.passwords.verify(password, hash).await {
            return Err(LoginError::InvalidCredentials);
        }
        match user {
            Some(user) if user.is_active => Ok(user.id),
            Some(_) => Err(LoginError::Inactive),
            None => Err(LoginError::InvalidCredentials),
        }
    }

    /// The user whose token this is, as they are now, and the tenant they belong to.
    #[tracing::instrument(name = "validate_user_token", skip_all)]
    pub(crate) async fn validate(&self, token: &SecretString) -> Result<(User, Tenant), ValidateError> {
        let outcome = self.look_up(token).await;
        match &outcome {
            Ok((user, tenant)) => {
                span::set_attribute("user.id", user.id.to_string());
                span::set_attribute("tenant.id", tenant.id.to_string());
            }
            Err(ValidateError::InvalidToken) => span::fail("Invalid token"),
            Err(ValidateError::Inactive) => span::fail("User is inactive"),
            Err(ValidateError::Database(error)) => span::record_error(error, DATABASE_ERROR),
        }
        outcome
    }

    async fn look_up(&self, token: &SecretString) -> Result<(User, Tenant), ValidateError> {
        let id = self.tokens.check(token).map_err(|_| ValidateError::InvalidToken)?;
        // A user can be gone while their token is not.
        let (user, tenant) = self.users.find(id).await?.ok_or(ValidateError::InvalidToken)?;
        if user.is_active { Ok((user, tenant)) } else { Err(ValidateError::Inactive) }
    }

    /// Changes what a user may do; `None` for nobody.
    pub(crate) async fn change(&self, id: UserId, change: UserChange) -> Result<Option<User>, DatabaseError> {
        span::set_attribute("user.id", id.to_string());
        self.users.change(id, change).await
    }
}
