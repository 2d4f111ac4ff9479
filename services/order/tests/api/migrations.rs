use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::Instant;

use diesel::connection::SimpleConnection as _;
use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use diesel_migrations::MigrationHarness as _;
use order_service::OrderService;
use service_kit::Service as _;
use service_kit::db::{Connection, DatabaseConfig};
use service_kit::testing::{TestDatabase, assert_migrations_can_be_undone};

use crate::harness::PATIENCE;

#[test]
fn every_migration_can_be_undone_and_done_again() {
    assert_migrations_can_be_undone::<OrderService>();
}

#[derive(QueryableByName, Debug, PartialEq)]
struct Row {
    #[diesel(sql_type = sql_types::Text)]
    id: String,
    #[diesel(sql_type = sql_types::Text)]
    status: String,
    #[diesel(sql_type = sql_types::BigInt)]
    events: i64,
}

/// Orders of the version before keep what they are, there and back.
#[test]
fn orders_survive_the_migrations() {
    let database = TestDatabase::new();
    let mut connection = Connection::open(&database.url().parse().unwrap()).unwrap();
    connection.run_next_migration(OrderService::MIGRATIONS).expect("the first migration");
    for (id, status, code) in [
        ("a", "confirmed", "NULL"),
        ("b", "failed", "'out_of_stock'"),
        ("c", "reserved", "'payment_timeout'"),
        ("d", "pending", "NULL"),
        ("e", "failed", "'order_cancelled'"),
    ] {
        sql_query(format!(
            "INSERT INTO orders (id, tenant_id, user_id, product_id, quantity, order_type, payment_method, status, \
             failure_code, amount_minor, currency, payment_id, created_at, updated_at) \
             VALUES ('{id}', 't', 'u', 'p', 1, 'standard', 'card_ok', '{status}', {code}, 100, 'EUR', 'pay-{id}', \
             '2026-11-01 00:00:00', '2026-11-01 00:00:00')"
        ))
        .execute(&mut connection)
        .expect("an order of the version before");
    }
    sql_query("INSERT INTO mails VALUES ('m', 'a', 'u', 's', 'b', '2026-11-01 00:00:00')")
        .execute(&mut connection)
        .unwrap();
    let statuses = |connection: &mut Connection, events: &str| -> Vec<(String, String, i64)> {
        let rows: Vec<Row> =
            sql_query(format!("SELECT id, status, {events} AS events FROM orders ORDER BY id"))
                .load(connection)
                .unwrap();
        rows.into_iter().map(|row| (row.id, row.status, row.events)).collect()
    };
    let expected = |failing: &str, cancelled: &str, events| {
        [("a", "confirmed"), ("b", "failed"), ("c", failing), ("d", "pending"), ("e", cancelled)]
            .map(|(id, status)| (id.to_owned(), status.to_owned(), events))
            .to_vec()
    };
    connection.run_pending_migrations(OrderService::MIGRATIONS).expect("the rest");
    let count = "(SELECT COUNT(*) FROM order_events WHERE order_id = orders.id AND status = orders.status)";
    assert_eq!(statuses(&mut connection, count), expected("failing", "cancelled", 1));
    while connection.revert_last_migration(OrderService::MIGRATIONS).is_ok() {
        if connection.applied_migrations().unwrap().len() == 1 {
            break;
        }
    }
    assert_eq!(statuses(&mut connection, "CAST(0 AS BIGINT)"), expected("reserved", "failed", 0));
    let mails = sql_query("UPDATE mails SET subject = 'kept'").execute(&mut connection).unwrap();
    assert_eq!(mails, 1);
}

/// What the code never does, the tables refuse.
#[test]
fn the_tables_refuse_orders_that_cannot_be() {
    let database = TestDatabase::new();
    let mut connection = Connection::open(&database.url().parse().unwrap()).unwrap();
    connection.run_pending_migrations(OrderService::MIGRATIONS).expect("the migrations run");
    let mut insert = |id: &str, status: &str, code: &str, amount: &str, payment: &str| {
        sql_query(format!(
            "INSERT INTO orders (id, tenant_id, user_id, product_id, quantity, order_type, payment_method, status, \
             failure_code, amount_minor, currency, payment_id, created_at, updated_at) \
             VALUES ('{id}', 't', 'u', 'p', 1, 'standard', 'card_ok', '{status}', {code}, {amount}, 'EUR', {payment}, \
             '2026-11-01 00:00:00', '2026-11-01 00:00:00')"
        ))
        .execute(&mut connection)
        .is_ok()
    };
    assert!(insert("a", "confirmed", "NULL", "100", "'pay'"));
    assert!(insert("c", "cancelled", "NULL", "NULL", "NULL"));
    assert!(!insert("b", "confirmed", "NULL", "100", "'pay'"), "one payment for two orders");
    assert!(!insert("b", "confirmed", "NULL", "100", "NULL"), "confirmed and not paid");
    assert!(!insert("b", "reserved", "NULL", "NULL", "NULL"), "reserved at no price");
    assert!(!insert("b", "failed", "NULL", "NULL", "NULL"), "failed for no reason");
    assert!(!insert("b", "lost", "NULL", "NULL", "NULL"), "a status that there is not");
    assert!(!insert("b", "reserved", "NULL", "-1", "NULL"), "a negative amount");
    let mail = "INSERT INTO mails VALUES ('m', 'nobody', 'u', 's', 'b', '2026-11-01 00:00:00')";
    assert!(sql_query(mail).execute(&mut connection).is_err(), "a mail about no order");
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = sql_types::BigInt)]
    number: i64,
}

fn number(connection: &mut Connection, sql: &str) -> i64 {
    let number: Number = sql_query(format!("SELECT {sql} AS number")).get_result(connection).unwrap();
    number.number
}

/// A database as the version has it that knows no cancellation, with this many orders.
fn before_cancellation(orders: u32) -> (TestDatabase, Connection) {
    let database = TestDatabase::new();
    let mut connection = open(&database);
    for _ in 0..3 {
        connection.run_next_migration(OrderService::MIGRATIONS).expect("a migration");
    }
    connection
        .batch_execute(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {orders}) \
             INSERT INTO orders (id, tenant_id, user_id, product_id, quantity, order_type, payment_method, status, \
             created_at, updated_at) SELECT 'order-' || n, 't', 'u', 'p', 1, 'standard', 'card_ok', 'pending', \
             '2026-11-01 00:00:00', '2026-11-01 00:00:00' FROM numbers; \
             INSERT INTO outbox (id, destination, order_id, created_at, due_at) \
             VALUES ('message', 'order.mails', 'order-1', '2026-11-01 00:00:00', '2026-11-01 00:00:00')"
        ))
        .expect("orders of the version before");
    (database, connection)
}

fn open(database: &TestDatabase) -> Connection {
    Connection::open(&database.url().parse().unwrap()).unwrap()
}

/// As a job of the new version does it, while the old one still serves.
fn migrate(database: &TestDatabase) -> thread::JoinHandle<anyhow::Result<Vec<String>>> {
    let config = DatabaseConfig { url: database.url().parse().unwrap() };
    thread::spawn(move || actix_web::rt::System::new().block_on(config.migrate(OrderService::MIGRATIONS)))
}

/// Until a migration waits for what is in flight. Of SQLite nobody can ask that; there the claim must hold anyway.
fn until_it_waits(database: &TestDatabase) {
    let mut connection = open(database);
    let waits = "(SELECT COUNT(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database \
                 WHERE datname = current_database() AND NOT granted)";
    let give_up = Instant::now() + PATIENCE;
    while matches!(connection, Connection::Postgres(_)) && number(&mut connection, waits) == 0 {
        assert!(Instant::now() < give_up, "the migration waits for nothing");
        thread::yield_now();
    }
}

/// Runs the one half of a change, begins to migrate, and then runs the other half.
fn migrate_between(first: &str, second: &str) -> (TestDatabase, Connection) {
    let (database, mut writer) = before_cancellation(1);
    let begin = if matches!(writer, Connection::Sqlite(_)) { "BEGIN IMMEDIATE" } else { "BEGIN" };
    writer.batch_execute(begin).unwrap();
    writer.batch_execute(first).expect("the first half");
    let migration = migrate(&database);
    until_it_waits(&database);
    writer.batch_execute(second).expect("the other half");
    writer.batch_execute("COMMIT").expect("the change");
    let applied = migration.join().unwrap().expect("the migration runs once the change is made");
    assert_eq!(applied, ["20261125000002"]);
    (database, writer)
}

#[test]
fn a_change_in_flight_survives_the_migration() {
    let (_database, mut connection) = migrate_between(
        "UPDATE orders SET status = 'failing', failure_code = 'out_of_stock', version = 2",
        "INSERT INTO order_events (order_id, version, message_id, status, failure_code, created_at) \
         VALUES ('order-1', 2, 'event', 'failing', 'out_of_stock', '2026-11-01 00:00:00')",
    );
    let changed = "(SELECT COUNT(*) FROM orders JOIN order_events ON order_id = id \
                   WHERE orders.status = 'failing' AND orders.version = 2 AND order_events.version = 2)";
    assert_eq!(number(&mut connection, changed), 1);
}

/// Its writer takes the tables in the other order: the mail, the order that it is about, the message.
#[test]
fn a_mail_in_flight_survives_the_migration() {
    let (_database, mut connection) = migrate_between(
        "UPDATE outbox SET attempts = attempts + 1",
        "INSERT INTO mails SELECT id, order_id, 'u', 's', 'b', created_at FROM outbox; \
         SELECT id FROM orders; DELETE FROM outbox",
    );
    let written = "(SELECT COUNT(*) FROM mails) - (SELECT COUNT(*) FROM outbox)";
    assert_eq!(number(&mut connection, written), 1);
}

#[test]
fn a_version_that_goes_on_writing_while_tables_are_made_anew_loses_nothing() {
    let (database, mut connection) = before_cancellation(20_000);
    let (written, is_migrated) = (AtomicI64::new(0), AtomicBool::new(false));
    let until = |enough: i64| {
        let give_up = Instant::now() + PATIENCE;
        while written.load(Ordering::SeqCst) < enough {
            assert!(Instant::now() < give_up, "the writer does not come on");
            thread::yield_now();
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut connection = open(&database);
            while !is_migrated.load(Ordering::SeqCst) {
                let change = "UPDATE orders SET version = version + 1 WHERE id = 'order-20000'";
                assert_eq!(sql_query(change).execute(&mut connection).expect("a change"), 1);
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        until(100);
        migrate(&database).join().unwrap().expect("the migration runs");
        until(written.load(Ordering::SeqCst) + 100);
        is_migrated.store(true, Ordering::SeqCst);
        writer.join().expect("the writer was never refused");
    });
    let version = number(&mut connection, "(SELECT version FROM orders WHERE id = 'order-20000')");
    assert_eq!(version, 1 + written.load(Ordering::SeqCst));
}
