//! One INTERNAL span a transaction.

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::result::Error;
use opentelemetry::trace::Tracer;

use super::*;

fn insert(id: i32, connection: &mut SqliteConnection) -> QueryResult<usize> {
    insert_user(id, &format!("user {id}"), connection)
}

fn inserted() -> SpanTree {
    query_of("INSERT", "users", INSERT_USER)
}

#[test]
fn committed_transaction_is_a_span_around_its_queries() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    telemetry
        .tracer()
        .in_span("request", |_| {
            connection.transaction(|connection| {
                insert(1, connection)?;
                insert(2, connection)
            })
        })
        .unwrap();
    insert(3, &mut connection).unwrap();

    assert_eq!(
        telemetry.trees(),
        [
            span("request", SpanKind::Internal)
                .child(transaction("commit").child(inserted()).child(inserted())),
            inserted(),
        ]
    );
}

#[test]
fn rolled_back_transaction_says_so_without_being_an_error() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    let answer = connection.transaction(|connection| {
        insert(1, connection)?;
        Err::<(), _>(Error::RollbackTransaction)
    });
    assert_eq!(answer, Err(Error::RollbackTransaction));
    assert_eq!(telemetry.trees(), [transaction("rollback").child(inserted())]);
}

#[test]
fn savepoints_are_nested_spans_with_outcomes_of_their_own() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    connection
        .transaction(|connection| {
            insert(1, connection)?;
            let inner = connection.transaction(|connection| {
                insert(2, connection)?;
                Err::<(), _>(Error::RollbackTransaction)
            });
            assert_eq!(inner, Err(Error::RollbackTransaction));
            connection.transaction(|connection| insert(3, connection))?;
            insert(4, connection)
        })
        .unwrap();

    assert_eq!(
        telemetry.trees(),
        [transaction("commit")
            .child(inserted())
            .child(transaction("rollback").child(inserted()))
            .child(transaction("commit").child(inserted()))
            .child(inserted())]
    );
}

#[test]
fn queries_under_a_span_of_the_application_are_its_children() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    let tracer = telemetry.tracer();
    tracer
        .in_span("request", |_| {
            connection.transaction(|connection| {
                insert(1, connection)?;
                tracer.in_span("step", |_| {
                    insert(2, connection)?;
                    connection.transaction(|connection| insert(3, connection))
                })?;
                insert(4, connection)
            })
        })
        .unwrap();

    assert_eq!(
        telemetry.trees(),
        [span("request", SpanKind::Internal)
            .child(transaction("commit").child(inserted()).child(inserted()))
            .child(
                span("step", SpanKind::Internal)
                    .child(inserted())
                    .child(transaction("commit").child(inserted()))
            )]
    );
}

#[test]
fn commit_that_fails_is_an_error_and_a_rollback() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    // The foreign key is checked when the transaction ends.
    let answer = connection.transaction(|connection| {
        diesel::sql_query("INSERT INTO orders VALUES (1, 404, 'x')").execute(connection)
    });
    assert!(answer.is_err());
    insert(1, &mut connection).unwrap();

    let failed =
        failed(transaction("rollback"), "foreign_key_violation", Some("787"), "foreign key violation");
    let order = query_of("INSERT", "orders", "INSERT INTO orders VALUES (?, ?, ?)");
    assert_eq!(telemetry.trees(), [failed.child(order), inserted()]);
}

#[test]
fn transaction_that_cannot_begin_is_an_error_without_an_outcome() {
    let telemetry = TestTelemetry::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("busy.db");
    let url = format!("sqlite://{}", path.display());
    let mut holder = SqliteConnection::establish(&url).unwrap();
    let mut connection = SqliteConnection::establish(&url).unwrap();
    instrument(&mut connection, &telemetry, &Database::from_url(&url).unwrap());
    holder.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let answer = connection.immediate_transaction(|_| Ok::<_, Error>(()));
    assert!(answer.is_err());
    holder.batch_execute("COMMIT").unwrap();
    connection.immediate_transaction(|_| Ok::<_, Error>(())).unwrap();

    let plain = span("transaction", SpanKind::Internal)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", "busy.db");
    assert_eq!(
        telemetry.trees(),
        [
            failed(plain.clone(), "lock_not_available", Some("5"), "lock not available"),
            plain.attribute("db.transaction.outcome", "commit"),
        ]
    );
}

#[test]
fn transaction_left_open_ends_with_its_connection() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    AnsiTransactionManager::begin_transaction(&mut connection).unwrap();
    AnsiTransactionManager::begin_transaction(&mut connection).unwrap();
    insert(1, &mut connection).unwrap();
    assert_eq!(telemetry.spans().len(), 1);
    drop(connection);
    assert_eq!(
        telemetry.trees(),
        [transaction("abandoned").child(transaction("abandoned").child(inserted()))]
    );
}

#[test]
fn panic_in_a_transaction_ends_its_span_when_the_connection_goes() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        connection.transaction(|connection| -> QueryResult<()> {
            insert(1, connection)?;
            panic!("a bug of the application");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(telemetry.trees(), [transaction("abandoned").child(inserted())]);
}
