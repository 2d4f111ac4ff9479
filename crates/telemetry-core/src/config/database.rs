//! Queries: what they carry, and when they are too many.

use super::Env;

/// What is done with database queries beside recording them.
///
/// ```
/// use telemetry_core::config::{Config, Env};
///
/// let sqlcommenter = "OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED";
/// let mut env = Env::of([(sqlcommenter, "true")]);
/// let config = Config::read("order-service", "1.2.0", &mut env);
/// assert!(config.database.sqlcommenter);
/// assert_eq!(config.database.repeated_query_threshold, 50);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Database {
    /// `OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED` (OpenTelemetry Java's name of
    /// it), default `false`: whether the statements of a sampled trace carry the ids of their span to the
    /// database, `SELECT … /*traceparent='00-…-…-01'*/`, where its logs and statistics show them. It needs
    /// [`TracedConnection`](crate::db::TracedConnection)s.
    ///
    /// A statement with a comment is prepared anew each time; [`db`](crate::db) tells what that costs.
    pub sqlcommenter: bool,
    /// `OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD`, default 50: a statement that is run so often
    /// under one request or background task is told of as a query in a loop. 0 never tells.
    ///
    /// Smaller would tell of bulk work in chunks (4,000 rows by the hundred are 40 statements), larger
    /// would miss a query for each row of a page.
    pub repeated_query_threshold: u32,
}

impl Database {
    pub(super) fn read(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            sqlcommenter: env.flag("OTEL_INSTRUMENTATION_COMMON_DB_EXPERIMENTAL_SQLCOMMENTER_ENABLED"),
            repeated_query_threshold: env.setting(
                "OTEL_INSTRUMENTATION_DB_REPEATED_QUERY_THRESHOLD",
                default.repeated_query_threshold,
                "how many queries are too many, or 0 for never",
            ),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { sqlcommenter: false, repeated_query_threshold: 50 }
    }
}
