//! What [`TracedConnection`] sees and instrumentation alone does not.

use diesel::result::{DatabaseErrorKind, Error};
use opentelemetry::trace::Tracer;
use telemetry_core::db::{TracedConnection, transaction as in_transaction};

use super::*;

type Traced = TracedConnection<SqliteConnection>;

fn traced(telemetry: &TestTelemetry) -> Traced {
    TracedConnection::new(sqlite(telemetry))
}

fn insert(id: i32, email: &str, connection: &mut Traced) -> QueryResult<usize> {
    diesel::insert_into(users::table).values((users::id.eq(id), users::email.eq(email))).execute(connection)
}

fn inserted() -> SpanTree {
    query_of("INSERT", "users", INSERT_USER)
}

fn returning(rows: i64) -> SpanTree {
    query_of("INSERT", "users", &format!("{INSERT_USER} RETURNING `id`"))
        .attribute("db.response.returned_rows", rows)
}

fn insert_returning(id: i32, email: &str, connection: &mut Traced) -> QueryResult<i32> {
    diesel::insert_into(users::table)
        .values((users::id.eq(id), users::email.eq(email)))
        .returning(users::id)
        .get_result(connection)
}

#[test]
fn spans_inside_a_transaction_are_below_it_with_their_queries() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    let tracer = telemetry.tracer();
    tracer
        .in_span("request", |_| {
            connection.transaction(|connection| {
                insert(1, "a", connection)?;
                tracer.in_span("step", |_| {
                    insert(2, "b", connection)?;
                    connection.transaction(|connection| insert(3, "c", connection))
                })?;
                insert(4, "d", connection)
            })
        })
        .unwrap();
    insert(5, "e", &mut connection).unwrap();

    let step =
        span("step", SpanKind::Internal).child(inserted()).child(transaction("commit").child(inserted()));
    assert_eq!(
        telemetry.trees(),
        [
            span("request", SpanKind::Internal)
                .child(transaction("commit").child(inserted()).child(step).child(inserted())),
            inserted(),
        ]
    );
}

#[test]
fn tracing_spans_inside_a_transaction_are_below_it_too() {
    #[tracing::instrument(skip_all)]
    fn step(connection: &mut Traced) -> QueryResult<usize> {
        insert(1, "a", connection)
    }
    #[tracing::instrument(skip_all)]
    fn handler(connection: &mut Traced) -> QueryResult<usize> {
        connection.transaction(step)
    }
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    handler(&mut traced(&telemetry)).unwrap();

    let tree = &telemetry.trees()[0];
    let names = |tree: &SpanTree| tree.children.iter().map(|child| child.name.clone()).collect::<Vec<_>>();
    assert_eq!((tree.name.as_str(), names(tree)), ("handler", vec!["transaction".to_owned()]));
    assert_eq!(names(&tree.children[0]), ["step"]);
    assert_eq!(names(&tree.children[0].children[0]), ["INSERT users"]);
}

#[test]
fn any_connection_can_have_its_transactions_spans_nested() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    in_transaction(&mut connection, |connection| {
        telemetry.tracer().in_span("step", |_| insert_user(1, "a", connection))
    })
    .unwrap();
    let step = span("step", SpanKind::Internal).child(inserted());
    assert_eq!(telemetry.trees(), [transaction("commit").child(step)]);
}

#[test]
fn context_is_as_before_after_a_transaction_that_fails_or_panics() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    let answer = connection.transaction(|_| Err::<(), _>(Error::RollbackTransaction));
    assert_eq!(answer, Err(Error::RollbackTransaction));
    assert_eq!(telemetry_core::span::ids(), None);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        connection.transaction(|_| -> QueryResult<()> { panic!("a bug of the application") })
    }));
    assert!(panicked.is_err());
    assert_eq!(telemetry_core::span::ids(), None);
}

#[test]
fn suppressed_telemetry_stays_suppressed_inside_a_transaction() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    connection
        .transaction(|connection| {
            let _quiet = opentelemetry::Context::enter_telemetry_suppressed_scope();
            connection.transaction(|connection| insert(1, "a", connection))
        })
        .unwrap();
    assert_eq!(telemetry.trees(), [transaction("commit")]);
}

#[test]
fn error_among_sqlites_rows_is_the_querys() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    insert_returning(1, "canary", &mut connection).unwrap();
    let error = insert_returning(2, "canary", &mut connection).unwrap_err();
    assert!(matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)));
    insert_returning(3, "b", &mut connection).unwrap();

    let twice = failed(returning(0), "unique_violation", Some("19"), "unique violation");
    assert_eq!(telemetry.trees(), [returning(1), twice, returning(1)]);
    let failures: Vec<u64> = telemetry
        .metrics()
        .iter()
        .filter(|series| series.attributes.contains_key("error.type"))
        .map(|series| series.count)
        .collect();
    assert_eq!(failures, [1]);
    telemetry.assert_absent("canary");
}

#[test]
fn row_that_the_application_cannot_read_leaves_no_error_to_the_next_query() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    insert(1, "a", &mut connection).unwrap();
    users::table.select(users::email).load::<String>(&mut connection).unwrap();
    let wrong =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::Text>>("NULL"));
    wrong.get_result::<Option<String>>(&mut connection).unwrap();
    assert!(telemetry.trees().iter().all(|tree| tree.status == Status::Unset));
}

#[test]
fn a_span_names_the_statement_that_ran_in_whatever_order_they_come() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    insert(1, "a", &mut connection).unwrap();
    // Without the type, by another way to the same connection, of text that only its run decides.
    let all = |connection: &mut SqliteConnection| users::table.load::<(i32, String)>(connection).map(drop);
    let emails =
        |connection: &mut Traced| users::table.select(users::email).load::<String>(connection).map(drop);
    let one = |id: i32, connection: &mut Traced| diesel::delete(users::table.find(id)).execute(connection);
    let text = |table: &str, connection: &mut Traced| {
        diesel::sql_query(format!("UPDATE {table} SET email = 'x'")).execute(connection)
    };
    for round in 0..3 {
        emails(&mut connection).unwrap();
        all(&mut connection).unwrap();
        one(7 + round, &mut connection).unwrap();
        text("users", &mut connection).unwrap();
        text("missing", &mut connection).unwrap_err();
        connection.batch_execute("SELECT 1").unwrap();
        all(&mut connection).unwrap();
        connection.transaction(emails).unwrap();
    }
    let round = [
        "SELECT `users`.`email` FROM `users`",
        "SELECT `users`.`id`, `users`.`email` FROM `users`",
        "DELETE FROM `users` WHERE (`users`.`id` = ?)",
        "UPDATE users SET email = ?",
        "UPDATE missing SET email = ?",
        "SELECT ?",
        "SELECT `users`.`id`, `users`.`email` FROM `users`",
        "SELECT `users`.`email` FROM `users`",
    ];
    let text_of = |tree: &SpanTree| {
        let tree = tree.children.first().unwrap_or(tree);
        tree.attributes["db.query.text"].to_string()
    };
    let texts: Vec<String> = telemetry.trees()[1..].iter().map(text_of).collect();
    assert_eq!(texts, [round; 3].concat());
}

#[test]
fn rows_that_were_read_are_counted() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced(&telemetry);
    for id in 1..=3 {
        insert(id, &id.to_string(), &mut connection).unwrap();
    }
    users::table.load::<(i32, String)>(&mut connection).unwrap();
    users::table.filter(users::id.gt(9)).load::<(i32, String)>(&mut connection).unwrap();
    drop(users::table.load_iter::<(i32, String), _>(&mut connection).unwrap().next());
    let rows: Vec<_> = telemetry.trees()[3..]
        .iter()
        .map(|tree| tree.attributes["db.response.returned_rows"].clone())
        .collect();
    assert_eq!(rows, [Value::I64(3), Value::I64(0), Value::I64(1)]);
    assert!(!telemetry.trees()[0].attributes.contains_key("db.response.returned_rows"));
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn rows_of_postgres_are_counted_and_its_errors_told_in_both_ways_of_loading() {
    use diesel::pg::PgRowByRowLoadingMode;
    let telemetry = TestTelemetry::new();
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names a PostgreSQL");
    let mut connection = TracedConnection::<PgConnection>::establish(&url).unwrap();
    instrument(&mut connection, &telemetry, &Database::from_url(&url).unwrap());
    let series = |end: i32| {
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Integer>(&format!(
            "100 / (3 - n) FROM generate_series(0, {end}) n"
        )))
    };
    series(1).load::<i32>(&mut connection).unwrap();
    series(3).load::<i32>(&mut connection).unwrap_err();
    let rows = series(1).load_iter::<i32, PgRowByRowLoadingMode>(&mut connection).unwrap();
    assert_eq!(rows.count(), 2);
    let mut rows = series(3).load_iter::<i32, PgRowByRowLoadingMode>(&mut connection).unwrap();
    assert!(rows.any(|row| row.is_err()));
    drop(rows);
    series(2).load::<i32>(&mut connection).unwrap();

    let told: Vec<_> = telemetry
        .trees()
        .into_iter()
        .map(|tree| (tree.status != Status::Unset, tree.attributes.get("db.response.returned_rows").cloned()))
        .collect();
    assert_eq!(telemetry.trees()[1].attributes["db.response.status_code"], text("22012"));
    let rows = |rows| (false, Some(Value::I64(rows)));
    assert_eq!(told, [rows(2), (true, None), rows(2), (true, None), rows(3)]);
}

#[test]
fn statements_are_traced_as_by_instrumentation_alone() {
    let told = |work: &dyn Fn(&TestTelemetry)| {
        let telemetry = TestTelemetry::new();
        work(&telemetry);
        telemetry.trees()
    };
    let plain = told(&|telemetry| {
        let mut connection = sqlite(telemetry);
        insert_user(1, "a", &mut connection).unwrap();
        insert_user(2, "a", &mut connection).unwrap_err();
        users::table.load::<(i32, String)>(&mut connection).unwrap();
        connection.transaction(|connection| insert_user(2, "b", connection)).unwrap();
    });
    let traced = told(&|telemetry| {
        let mut connection = traced(telemetry);
        insert(1, "a", &mut connection).unwrap();
        insert(2, "a", &mut connection).unwrap_err();
        users::table.load::<(i32, String)>(&mut connection).unwrap();
        connection.transaction(|connection| insert(2, "b", connection)).unwrap();
    });
    let traced: Vec<_> =
        traced.into_iter().map(|tree| tree.without(&["db.response.returned_rows"])).collect();
    assert_eq!(plain, traced);
}
