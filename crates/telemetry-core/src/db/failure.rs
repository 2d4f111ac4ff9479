//! What is told of a failed query: which kind of error, never what the database said of it.
//!
//! The database's own words repeat values (`Key (email)=(joe@example.com) already exists`), so they
//! are not recorded.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error};
use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::{DB_RESPONSE_STATUS_CODE, ERROR_TYPE};

use super::database::System;

/// A failed query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// `error.type`: the kind of error by PostgreSQL's name of the condition, the same for every
    /// database.
    pub(super) error_type: &'static str,
    /// `db.response.status_code`, where the kind of error leaves no doubt about it.
    pub(super) status_code: Option<&'static str>,
    /// The status description.
    pub(super) description: String,
}

impl Failure {
    /// A query that diesel began and never told the end of: it could not be sent, or the code
    /// around it panicked.
    pub(super) fn unfinished() -> Self {
        Self {
            error_type: "unfinished",
            status_code: None,
            description: "the query did not finish".to_owned(),
        }
    }

    /// `None` where nothing failed: that a row was not found is an answer.
    pub(super) fn of(error: &Error, system: System) -> Option<Self> {
        let (error_type, description) = match error {
            Error::NotFound => return None,
            Error::DatabaseError(kind, information) => {
                let (error_type, status_code) = match kind {
                    DatabaseErrorKind::Unknown => known_message(information.message(), system),
                    kind => (kind_name(*kind), status_code(*kind, system)),
                };
                return Some(Self {
                    error_type,
                    status_code,
                    description: describe(error_type, information.as_ref()),
                });
            }
            Error::RollbackErrorOnCommit { commit_error, .. } => return Self::of(commit_error, system),
            Error::InvalidCString(_) => ("invalid_c_string", "the query holds a NUL byte"),
            Error::QueryBuilderError(_) => ("query_builder_error", "the query could not be built"),
            Error::SerializationError(_) => ("serialization_error", "a value could not be sent"),
            Error::DeserializationError(_) => ("deserialization_error", "a value could not be read"),
            Error::BrokenTransactionManager => {
                ("broken_transaction_manager", "the connection's transaction is broken")
            }
            Error::RollbackTransaction => ("rollback_transaction", "rollback was asked for"),
            Error::AlreadyInTransaction => ("already_in_transaction", "a transaction is open"),
            Error::NotInTransaction => ("not_in_transaction", "no transaction is open"),
            _ => ("_OTHER", "the query failed"),
        };
        Some(Self { error_type, status_code: None, description: description.to_owned() })
    }

    /// The attributes of the failure, for spans and metrics alike.
    pub(super) fn attributes(&self) -> impl Iterator<Item = KeyValue> {
        let code = self.status_code.map(|code| KeyValue::new(DB_RESPONSE_STATUS_CODE, code));
        std::iter::once(KeyValue::new(ERROR_TYPE, self.error_type)).chain(code)
    }
}

/// What failed, without the database's own words.
pub(crate) fn failure_text(error: &Error) -> String {
    // The text is the same for every database.
    Failure::of(error, System::Sqlite)
        .map_or_else(|| "no row was found".to_owned(), |failure| failure.description)
}

fn kind_name(kind: DatabaseErrorKind) -> &'static str {
    match kind {
        DatabaseErrorKind::UniqueViolation => "unique_violation",
        DatabaseErrorKind::ForeignKeyViolation => "foreign_key_violation",
        DatabaseErrorKind::NotNullViolation => "not_null_violation",
        DatabaseErrorKind::CheckViolation => "check_violation",
        DatabaseErrorKind::RestrictViolation => "restrict_violation",
        DatabaseErrorKind::ExclusionViolation => "exclusion_violation",
        DatabaseErrorKind::SerializationFailure => "serialization_failure",
        DatabaseErrorKind::ReadOnlyTransaction => "read_only_sql_transaction",
        DatabaseErrorKind::UnableToSendCommand => "unable_to_send_command",
        DatabaseErrorKind::ClosedConnection => "closed_connection",
        _ => "database_error",
    }
}

/// diesel keeps the code to itself and tells its kind of it, so only kinds that stand for a single
/// code have one here (`diesel::pg::connection::result`, `diesel::sqlite::connection::stmt`).
///
/// SQLite's are its extended result codes; a unique violation has two of them (2067 of an index,
/// 1555 of a primary key), so it gets the primary code that both share, 19.
fn status_code(kind: DatabaseErrorKind, system: System) -> Option<&'static str> {
    match (system, kind) {
        (System::Postgresql, DatabaseErrorKind::UniqueViolation) => Some("23505"),
        (System::Postgresql, DatabaseErrorKind::ForeignKeyViolation) => Some("23503"),
        (System::Postgresql, DatabaseErrorKind::NotNullViolation) => Some("23502"),
        (System::Postgresql, DatabaseErrorKind::CheckViolation) => Some("23514"),
        (System::Postgresql, DatabaseErrorKind::RestrictViolation) => Some("23001"),
        (System::Postgresql, DatabaseErrorKind::ExclusionViolation) => Some("23P01"),
        (System::Postgresql, DatabaseErrorKind::SerializationFailure) => Some("40001"),
        (System::Postgresql, DatabaseErrorKind::ReadOnlyTransaction) => Some("25006"),
        (System::Sqlite, DatabaseErrorKind::UniqueViolation) => Some("19"),
        (System::Sqlite, DatabaseErrorKind::ForeignKeyViolation) => Some("787"),
        (System::Sqlite, DatabaseErrorKind::NotNullViolation) => Some("1299"),
        (System::Sqlite, DatabaseErrorKind::CheckViolation) => Some("275"),
        _ => None,
    }
}

/// What the databases' own fixed words stand for, where diesel knows no kind of the error: only messages
/// that are compared whole, or up to a name, are here, and nothing of them goes on. (A PostgreSQL that
/// speaks another language is not understood.)
fn known_message(message: &str, system: System) -> (&'static str, Option<&'static str>) {
    let known = match system {
        System::Sqlite => SQLITE_MESSAGES.as_slice(),
        System::Postgresql => POSTGRESQL_MESSAGES.as_slice(),
        System::Mysql => &[],
    };
    let is_it = |text: &str| match text.strip_suffix('*') {
        Some(beginning) => message.starts_with(beginning),
        None => message == text,
    };
    let found = known.iter().find(|(text, ..)| is_it(text));
    found.map_or(("database_error", None), |(_, error_type, code)| (error_type, Some(code)))
}

/// Message (`*` stands for a name at its end), `error.type`, primary result code: `sqlite3ErrStr` in
/// SQLite's main.c, and the errors of its parser.
const SQLITE_MESSAGES: [(&str, &str, &str); 13] = [
    ("database is locked", "lock_not_available", "5"),
    ("database table is locked*", "lock_not_available", "6"),
    ("out of memory", "out_of_memory", "7"),
    ("attempt to write a readonly database", "read_only_sql_transaction", "8"),
    ("interrupted", "query_canceled", "9"),
    ("disk I/O error", "io_error", "10"),
    ("database disk image is malformed", "data_corrupted", "11"),
    ("database or disk is full", "disk_full", "13"),
    ("unable to open database file*", "undefined_file", "14"),
    ("string or blob too big", "program_limit_exceeded", "18"),
    ("file is not a database", "data_corrupted", "26"),
    ("no such table: *", "undefined_table", "1"),
    ("no such column: *", "undefined_column", "1"),
];

/// Message, the condition's name, SQLSTATE: "PostgreSQL Error Codes", as an English server says them.
const POSTGRESQL_MESSAGES: [(&str, &str, &str); 8] = [
    ("deadlock detected", "deadlock_detected", "40P01"),
    ("canceling statement due to statement timeout", "query_canceled", "57014"),
    ("canceling statement due to user request", "query_canceled", "57014"),
    ("canceling statement due to lock timeout", "lock_not_available", "55P03"),
    ("could not obtain lock on *", "lock_not_available", "55P03"),
    ("division by zero", "division_by_zero", "22012"),
    (
        "current transaction is aborted, commands ignored until end of transaction block",
        "in_failed_sql_transaction",
        "25P02",
    ),
    ("permission denied for *", "insufficient_privilege", "42501"),
];

/// `unique violation: constraint users_email_key, table users`: names of the schema, no values.
fn describe(error_type: &str, information: &dyn DatabaseErrorInformation) -> String {
    let mut description = error_type.replace('_', " ");
    let names = [
        ("constraint", information.constraint_name()),
        ("table", information.table_name()),
        ("column", information.column_name()),
    ];
    let mut separator = ": ";
    for (what, name) in names {
        if let Some(name) = name {
            description.push_str(&format!("{separator}{what} {name}"));
            separator = ", ";
        }
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Information;

    impl DatabaseErrorInformation for Information {
        fn message(&self) -> &str {
            "Key (email)=(canary@example.com) already exists"
        }
        fn details(&self) -> Option<&str> {
            Some("canary")
        }
        fn hint(&self) -> Option<&str> {
            Some("canary")
        }
        fn table_name(&self) -> Option<&str> {
            Some("users")
        }
        fn column_name(&self) -> Option<&str> {
            None
        }
        fn constraint_name(&self) -> Option<&str> {
            Some("users_email_key")
        }
        fn statement_position(&self) -> Option<i32> {
            None
        }
    }

    #[test]
    fn database_error_is_told_by_kind_and_names_without_its_message() {
        let error = Error::DatabaseError(DatabaseErrorKind::UniqueViolation, Box::new(Information));
        let failure = Failure::of(&error, System::Postgresql).unwrap();
        assert_eq!(failure.error_type, "unique_violation");
        assert_eq!(failure.status_code, Some("23505"));
        assert_eq!(failure.description, "unique violation: constraint users_email_key, table users");
        assert!(!format!("{failure:?}").contains("canary"));
    }

    #[test]
    fn status_code_is_told_only_where_the_kind_has_a_single_one() {
        let code = |kind, system| {
            let error = Error::DatabaseError(kind, Box::new(String::new()));
            Failure::of(&error, system).unwrap().status_code
        };
        assert_eq!(code(DatabaseErrorKind::SerializationFailure, System::Postgresql), Some("40001"));
        assert_eq!(code(DatabaseErrorKind::ClosedConnection, System::Postgresql), None);
        assert_eq!(code(DatabaseErrorKind::UniqueViolation, System::Sqlite), Some("19"));
        assert_eq!(code(DatabaseErrorKind::NotNullViolation, System::Sqlite), Some("1299"));
        assert_eq!(code(DatabaseErrorKind::UniqueViolation, System::Mysql), None);
    }

    #[test]
    fn fixed_words_of_a_database_stand_for_their_code_and_nothing_of_them_goes_on() {
        let of = |message: &str, system| {
            let error = Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()));
            let failure = Failure::of(&error, system).unwrap();
            assert!(!failure.description.contains("canary"));
            (failure.error_type, failure.status_code)
        };
        let table = [
            ("database is locked", System::Sqlite, ("lock_not_available", Some("5"))),
            ("no such table: canary", System::Sqlite, ("undefined_table", Some("1"))),
            ("deadlock detected", System::Postgresql, ("deadlock_detected", Some("40P01"))),
            ("deadlock detected", System::Sqlite, ("database_error", None)),
            ("deadlock detected: canary", System::Postgresql, ("database_error", None)),
            ("Verklemmung entdeckt", System::Postgresql, ("database_error", None)),
            ("canary", System::Mysql, ("database_error", None)),
        ];
        for (message, system, expected) in table {
            assert_eq!(of(message, system), expected, "{message}");
        }
    }

    #[test]
    fn errors_with_a_text_of_their_own_lose_it() {
        let table = [
            (Error::QueryBuilderError("canary".into()), "query_builder_error"),
            (Error::SerializationError("canary".into()), "serialization_error"),
            (Error::DeserializationError("canary".into()), "deserialization_error"),
            (Error::BrokenTransactionManager, "broken_transaction_manager"),
        ];
        for (error, error_type) in table {
            let failure = Failure::of(&error, System::Sqlite).unwrap();
            assert_eq!(failure.error_type, error_type);
            assert!(!failure.description.contains("canary"));
        }
    }

    #[test]
    fn row_that_was_not_found_is_no_failure() {
        assert_eq!(Failure::of(&Error::NotFound, System::Sqlite), None);
    }
}
