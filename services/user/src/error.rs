//! The only map from our errors to HTTP. No `_` arm: a new variant asks for its status.

use actix_web::http::StatusCode;
use service_kit::Problem;
use service_kit::problem::code;

use crate::accounts::{LoginError, RegisterError, ValidateError};
use crate::store::InsertUserError;

/// 409: another user has this e-mail address.
pub(crate) const EMAIL_TAKEN: &str = "email_taken";
/// 401: the e-mail address or the password is wrong.
pub(crate) const INVALID_CREDENTIALS: &str = "invalid_credentials";
/// 403: the user may not act.
pub(crate) const USER_INACTIVE: &str = "user_inactive";
/// 404: there is no such user.
pub(crate) const USER_NOT_FOUND: &str = "user_not_found";
/// 404: there is no such tenant.
pub(crate) const TENANT_NOT_FOUND: &str = "tenant_not_found";

impl From<RegisterError> for Problem {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Insert(InsertUserError::EmailTaken) => {
                Self::new(StatusCode::CONFLICT, EMAIL_TAKEN, "Another user has this e-mail address.")
            }
            RegisterError::Insert(InsertUserError::UnknownTenant) => {
                Self::new(StatusCode::NOT_FOUND, TENANT_NOT_FOUND, "There is no such tenant.")
            }
            RegisterError::Insert(InsertUserError::Database(error)) => error.into(),
            RegisterError::Hash(error) => Self::internal(error),
            RegisterError::Throttled(throttled) => Self::too_many_attempts(throttled.retry_after),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => {
                Self::unauthorized(INVALID_CREDENTIALS, "The e-mail address or the password is wrong.")
            }
            LoginError::Inactive => user_inactive(),
            LoginError::Throttled(throttled) => Self::too_many_attempts(throttled.retry_after),
            LoginError::Database(error) => error.into(),
        }
    }
}

impl From<ValidateError> for Problem {
    fn from(error: ValidateError) -> Self {
        match error {
            ValidateError::InvalidToken => {
                Self::unauthorized(code::INVALID_TOKEN, "The access token is malformed, expired or not ours.")
            }
            ValidateError::Inactive => user_inactive(),
            ValidateError::Database(error) => error.into(),
        }
    }
}

pub(crate) fn user_not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, USER_NOT_FOUND, "There is no such user.")
}

fn user_inactive() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, USER_INACTIVE, "This user may not act.")
}
