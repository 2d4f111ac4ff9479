//! One CLIENT span a query.

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt, Tracer};
use opentelemetry_sdk::trace::Sampler;

use super::*;

#[test]
fn each_query_is_one_client_span_with_its_text_summary_operation_and_table() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "joe@example.com", &mut connection).unwrap();
    users::table.filter(users::id.eq(1)).load::<(i32, String)>(&mut connection).unwrap();
    diesel::update(users::table.find(1)).set(users::email.eq("b")).execute(&mut connection).unwrap();
    users::table
        .inner_join(orders::table.on(orders::user_id.eq(users::id)))
        .filter(users::id.eq_any([1, 2, 3]))
        .select(orders::note)
        .load::<String>(&mut connection)
        .unwrap();
    diesel::delete(users::table.find(1)).execute(&mut connection).unwrap();

    assert_eq!(
        telemetry.trees(),
        [
            query_of("INSERT", "users", INSERT_USER),
            query_of(
                "SELECT",
                "users",
                "SELECT `users`.`id`, `users`.`email` FROM `users` WHERE (`users`.`id` = ?)"
            ),
            query_of("UPDATE", "users", "UPDATE `users` SET `email` = ? WHERE (`users`.`id` = ?)"),
            query(
                "SELECT users orders",
                "SELECT `orders`.`note` FROM (`users` INNER JOIN `orders` ON (`orders`.`user_id` = `users`.`id`)) \
                 WHERE (`users`.`id` IN (?))"
            )
            .attribute("db.operation.name", "SELECT"),
            query_of("DELETE", "users", "DELETE FROM `users` WHERE (`users`.`id` = ?)"),
        ]
    );
}

#[test]
fn literals_of_hand_written_sql_are_replaced() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    diesel::sql_query("SELECT * FROM users WHERE email = 'canary' -- canary\n AND id < 77")
        .execute(&mut connection)
        .unwrap();
    connection
        .batch_execute(
            "INSERT INTO users VALUES (1, 'canary'); DELETE FROM orders WHERE note = 'it''s canary';",
        )
        .unwrap();

    assert_eq!(
        telemetry.trees(),
        [
            query_of("SELECT", "users", "SELECT * FROM users WHERE email = ? AND id < ?"),
            query(
                "INSERT users DELETE orders",
                "INSERT INTO users VALUES (?, ?); DELETE FROM orders WHERE note = ?;"
            ),
        ]
    );
}

#[test]
fn bound_values_appear_nowhere() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "canary@example.com", &mut connection).unwrap();
    insert_user(2, "canary@example.com", &mut connection).unwrap_err();
    users::table.filter(users::email.like("canary%")).load::<(i32, String)>(&mut connection).unwrap();
    diesel::sql_query("SELECT * FROM users WHERE email = ? -- binds: [")
        .bind::<diesel::sql_types::Text, _>("line\ncanary\" ]")
        .execute(&mut connection)
        .unwrap();
    diesel::sql_query("SELECT * FROM canary_table_is_no_value WHERE").execute(&mut connection).unwrap_err();
    connection.transaction(|connection| insert_user(3, "canary@example.com", connection)).unwrap_err();

    assert_eq!(telemetry.spans().len(), 7);
    telemetry.assert_absent("canary@");
    telemetry.assert_absent("canary%");
    telemetry.assert_absent("line");
}

#[test]
fn broken_constraint_is_an_error_of_the_query_told_by_its_kind() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "a", &mut connection).unwrap();
    insert_user(2, "a", &mut connection).unwrap_err();
    diesel::sql_query("INSERT INTO users (id) VALUES (3)").execute(&mut connection).unwrap_err();
    diesel::sql_query("SELECT * FROM missing").execute(&mut connection).unwrap_err();

    let unnamed = query_of("INSERT", "users", "INSERT INTO users (id) VALUES (?)");
    let missing = query_of("SELECT", "missing", "SELECT * FROM missing");
    assert_eq!(
        telemetry.trees()[1..],
        [
            failed(
                query_of("INSERT", "users", INSERT_USER),
                "unique_violation",
                Some("19"),
                "unique violation"
            ),
            failed(unnamed, "not_null_violation", Some("1299"), "not null violation"),
            failed(missing, "undefined_table", Some("1"), "undefined table"),
        ]
    );
}

#[test]
fn row_that_is_not_there_is_no_error() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    let answer = users::table.find(7).select(users::email).first::<String>(&mut connection);
    assert_eq!(answer, Err(diesel::NotFound));
    assert_eq!(telemetry.trees()[0].status, Status::Unset);
    assert!(!telemetry.trees()[0].attributes.contains_key("error.type"));
}

/// diesel's SQLite rows end their query as it is dropped, and do not say how. Should it learn to,
/// this is the reminder that db.rs says otherwise.
#[test]
fn sqlite_error_among_rows_is_not_told_to_us() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "a", &mut connection).unwrap();
    let answer = diesel::insert_into(users::table)
        .values((users::id.eq(2), users::email.eq("a")))
        .returning(users::id)
        .get_result::<i32>(&mut connection);
    assert!(answer.is_err());
    assert_eq!(telemetry.trees()[1].name, "INSERT users");
    assert_eq!(telemetry.trees()[1].status, Status::Unset);
}

#[test]
fn query_that_diesel_could_not_build_ends_its_span_with_an_error() {
    #[derive(AsChangeset)]
    #[diesel(table_name = users)]
    struct Nothing {
        email: Option<String>,
    }
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    diesel::update(users::table.find(1)).set(Nothing { email: None }).execute(&mut connection).unwrap_err();

    let unnamed = span("sqlite", SpanKind::Client)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", ":memory:");
    assert_eq!(
        telemetry.trees(),
        [failed(unnamed, "query_builder_error", None, "the query could not be built")]
    );
}

#[test]
fn query_that_diesel_begins_and_leaves_is_ended_as_unfinished() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    // One value too many: SQLite refuses to bind it, and diesel tells no end of the query.
    let left = || diesel::sql_query("SELECT 1").bind::<diesel::sql_types::Text, _>("canary");
    left().execute(&mut connection).unwrap_err();
    assert_eq!(telemetry.spans().len(), 0);
    insert_user(1, "a", &mut connection).unwrap();
    assert_eq!(telemetry.spans().len(), 1, "the query after it is not mistaken for it");
    drop(connection);

    let left = query("SELECT", "SELECT ?").attribute("db.operation.name", "SELECT");
    assert_eq!(
        telemetry.trees(),
        [
            failed(left, "unfinished", None, "the query did not finish"),
            query_of("INSERT", "users", INSERT_USER),
        ]
    );
}

#[test]
fn query_belongs_to_the_current_span() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    telemetry.tracer().in_span("request", |_| insert_user(1, "a", &mut connection)).unwrap();
    assert_eq!(
        telemetry.trees(),
        [span("request", SpanKind::Internal).child(query_of("INSERT", "users", INSERT_USER))]
    );
}

#[test]
fn rows_read_one_by_one_keep_their_query_open() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "a", &mut connection).unwrap();
    let mut rows = users::table.load_iter::<(i32, String), _>(&mut connection).unwrap();
    rows.next().unwrap().unwrap();
    assert_eq!(telemetry.spans().len(), 1);
    drop(rows);
    assert_eq!(telemetry.trees()[1].name, "SELECT users");
}

#[test]
fn suppressed_telemetry_stays_silent_and_the_next_query_is_told_again() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    {
        let _quiet = Context::enter_telemetry_suppressed_scope();
        insert_user(1, "a", &mut connection).unwrap();
        connection.transaction(|connection| insert_user(2, "b", connection)).unwrap();
    }
    assert_eq!(telemetry.spans().len(), 0);
    assert_eq!(telemetry.metrics(), []);
    insert_user(3, "c", &mut connection).unwrap();
    assert_eq!(telemetry.trees(), [query_of("INSERT", "users", INSERT_USER)]);
}

#[test]
fn trace_that_is_not_sampled_has_no_spans_and_still_its_durations() {
    let telemetry = TestTelemetry::with_sampler(Sampler::AlwaysOff);
    let mut connection = sqlite(&telemetry);
    connection.transaction(|connection| insert_user(1, "a", connection)).unwrap();
    assert_eq!(telemetry.spans().len(), 0);
    let inserts = |series: &telemetry_core::testing::Series| {
        series.attributes.get("db.query.summary") == Some(&text("INSERT users"))
    };
    assert_eq!(telemetry.metrics().iter().filter(|series| inserts(series)).count(), 1);
}

#[test]
fn many_different_statements_keep_their_own_names() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    for round in 0..2 {
        for n in 0..300 {
            diesel::sql_query(format!("CREATE TABLE IF NOT EXISTS t{n} (x{round} INTEGER)"))
                .execute(&mut connection)
                .unwrap();
        }
    }
    let names: Vec<String> = telemetry.spans().iter().map(|span| span.name.to_string()).collect();
    let expected: Vec<String> = (0..600).map(|n| format!("CREATE TABLE t{}", n % 300)).collect();
    assert_eq!(names, expected);
}

#[test]
fn remote_parent_is_kept() {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    let remote = SpanContext::new(
        TraceId::from(7_u128),
        SpanId::from(9_u64),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    let _current = Context::new().with_remote_span_context(remote).attach();
    insert_user(1, "a", &mut connection).unwrap();
    let spans = telemetry.spans();
    assert_eq!(spans[0].parent_span_id, SpanId::from(9_u64));
    assert_eq!(spans[0].span_context.trace_id(), TraceId::from(7_u128));
}
