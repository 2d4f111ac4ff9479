//! diesel's queries, transactions and pools as telemetry, through real databases.

mod comments;
mod metrics;
mod pool;
mod postgres;
mod queries;
mod repetition;
mod traced;
mod transactions;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use opentelemetry::Value;
use opentelemetry::trace::{SpanKind, Status};
use schema::{orders, users};
use telemetry_core::db::{Database, instrument};
use telemetry_core::opentelemetry;
use telemetry_core::testing::{SpanTree, TestTelemetry, span};

mod schema {
    diesel::table! {
        users (id) {
            id -> Integer,
            email -> Text,
        }
    }

    diesel::table! {
        orders (id) {
            id -> Integer,
            user_id -> Integer,
            note -> Text,
        }
    }

    diesel::allow_tables_to_appear_in_same_query!(users, orders);
}

const SCHEMA: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY,
        user_id INTEGER NOT NULL REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED,
        note TEXT NOT NULL
    );";

/// An instrumented connection to a database of its own with both tables.
fn sqlite(telemetry: &TestTelemetry) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    connection.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    connection.batch_execute(SCHEMA).unwrap();
    instrument(&mut connection, telemetry, &Database::from_url("sqlite://:memory:").unwrap());
    connection
}

/// The span of a query to [`sqlite`]'s database.
fn query(summary: &str, text: &str) -> SpanTree {
    span(summary, SpanKind::Client)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", ":memory:")
        .attribute("db.query.summary", summary.to_owned())
        .attribute("db.query.text", text.to_owned())
}

/// As [`query`], of one operation on one table.
fn query_of(operation: &'static str, table: &'static str, text: &str) -> SpanTree {
    query(&format!("{operation} {table}"), text)
        .attribute("db.operation.name", operation)
        .attribute("db.collection.name", table)
}

/// The span of a transaction in [`sqlite`]'s database.
fn transaction(outcome: &'static str) -> SpanTree {
    span("transaction", SpanKind::Internal)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", ":memory:")
        .attribute("db.transaction.outcome", outcome)
}

fn failed(
    span: SpanTree,
    error_type: &'static str,
    code: Option<&'static str>,
    description: &str,
) -> SpanTree {
    let span = span.status(Status::error(description.to_owned())).attribute("error.type", error_type);
    match code {
        Some(code) => span.attribute("db.response.status_code", code),
        None => span,
    }
}

fn insert_user(id: i32, email: &str, connection: &mut SqliteConnection) -> QueryResult<usize> {
    diesel::insert_into(users::table).values((users::id.eq(id), users::email.eq(email))).execute(connection)
}

const INSERT_USER: &str = "INSERT INTO `users` (`id`, `email`) VALUES (?, ?)";

fn text(value: &str) -> Value {
    Value::from(value.to_owned())
}
