//! Point queries on SQLite, in memory: nothing but the database's own work beside the instrumentation.

use diesel::connection::LoadConnection;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use telemetry_core::Telemetry;
use telemetry_core::db::{Database, TracedConnection, instrument};
use telemetry_core::opentelemetry::Context;
use telemetry_core::opentelemetry::trace::{TraceContextExt, Tracer};

diesel::table! {
    items (id) {
        id -> Integer,
        name -> Text,
        price -> Integer,
    }
}

/// Runs so many queries on a connection as diesel has it, as children of one span where there is telemetry.
pub(crate) fn run(telemetry: Option<&Telemetry>, number: u32) -> Result<(), Box<dyn std::error::Error>> {
    run_on(filled()?, telemetry, number)
}

/// The same on a [`TracedConnection`].
pub(crate) fn run_traced(telemetry: &Telemetry, number: u32) -> Result<(), Box<dyn std::error::Error>> {
    run_on(TracedConnection::new(filled()?), Some(telemetry), number)
}

fn filled() -> Result<SqliteConnection, Box<dyn std::error::Error>> {
    let mut connection = SqliteConnection::establish(":memory:")?;
    diesel::sql_query(
        "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)",
    )
    .execute(&mut connection)?;
    for id in 1..=100 {
        diesel::insert_into(items::table)
            .values((items::id.eq(id), items::name.eq("a small thing"), items::price.eq(1999)))
            .execute(&mut connection)?;
    }
    Ok(connection)
}

fn run_on(
    mut connection: impl LoadConnection<Backend = Sqlite>,
    telemetry: Option<&Telemetry>,
    number: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(telemetry) = telemetry {
        instrument(&mut connection, telemetry, &Database::from_url("sqlite://:memory:")?);
        let span = telemetry.tracer().start("queries");
        let _current = Context::current_with_span(span).attach();
        return query(&mut connection, number);
    }
    query(&mut connection, number)
}

fn query(
    connection: &mut impl LoadConnection<Backend = Sqlite>,
    number: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    for turn in 0..number {
        let id = (turn % 100) as i32 + 1;
        let (found, name): (i32, String) =
            items::table.filter(items::id.eq(id)).select((items::id, items::name)).first(connection)?;
        assert_eq!((found, name.len()), (id, 13));
    }
    Ok(())
}
