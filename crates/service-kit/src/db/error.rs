//! What a database answers instead of rows.

use diesel::result::{DatabaseErrorKind, Error as QueryError};
use telemetry_core::db::PoolError;

use crate::Problem;
use crate::problem::code;

/// A failure that no caller of a store can do anything about. A store gives what its callers can act
/// on, such as a taken name, an error of its own.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No connection was to be had in time.
    #[error("no connection to the database")]
    Unavailable(#[from] PoolError),
    /// The database refused a query, or went away while it ran.
    #[error("a query failed")]
    Query(#[from] QueryError),
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let is_gone = match &error {
            DatabaseError::Unavailable(_) => true,
            DatabaseError::Query(QueryError::DatabaseError(kind, _)) => {
                matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand)
            }
            DatabaseError::Query(_) => false,
        };
        if is_gone {
            Self::unavailable(code::DATABASE_UNAVAILABLE, "The database gives no answer.").caused_by(error)
        } else {
            Self::internal(error)
        }
    }
}
