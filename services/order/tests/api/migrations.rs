use diesel::{QueryableByName, RunQueryDsl as _, sql_query, sql_types};
use diesel_migrations::MigrationHarness as _;
use order_service::OrderService;
use service_kit::Service as _;
use service_kit::db::Connection;
use service_kit::testing::{TestDatabase, assert_migrations_can_be_undone};

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
