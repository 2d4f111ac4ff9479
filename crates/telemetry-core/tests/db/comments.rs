//! sqlcommenter: what the database really received.
//!
//! PostgreSQL tells the text of the running statement (`current_query()`); SQLite keeps the whole text
//! of a `CREATE VIEW`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use telemetry_core::config;
use telemetry_core::db::TracedConnection;

use super::*;

type TracedSqlite = TracedConnection<SqliteConnection>;
type TracedPostgres = TracedConnection<PgConnection>;

/// As services have it.
#[derive(diesel::MultiConnection)]
enum Either {
    Sqlite(TracedSqlite),
    Postgres(TracedPostgres),
}

const RUNNING: &str = "SELECT current_query() AS text";

fn commenting() -> TestTelemetry {
    commenting_with(Sampler::AlwaysOn)
}

fn commenting_with(sampler: Sampler) -> TestTelemetry {
    let mut settings = config::Database::default();
    settings.sqlcommenter = true;
    TestTelemetry::with_database(sampler, settings)
}

fn traced_sqlite(telemetry: &TestTelemetry) -> TracedSqlite {
    let mut connection = TracedSqlite::establish(":memory:").unwrap();
    connection.batch_execute(SCHEMA).unwrap();
    instrument(&mut connection, telemetry, &Database::from_url(":memory:").unwrap());
    connection
}

fn traced_postgres(telemetry: &TestTelemetry) -> TracedPostgres {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names a PostgreSQL");
    let mut connection = TracedPostgres::establish(&url).unwrap();
    connection.batch_execute(&SCHEMA.replace("CREATE TABLE", "CREATE TEMPORARY TABLE")).unwrap();
    instrument(&mut connection, telemetry, &Database::from_url(&url).unwrap());
    connection
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The text that PostgreSQL runs while it answers `query`.
fn received(query: &str, connection: &mut TracedPostgres) -> String {
    diesel::sql_query(query).get_result::<Row>(connection).unwrap().text
}

/// How many prepared statements with this in their text the server keeps for the connection.
fn kept(fragment: &str, connection: &mut TracedPostgres) -> i64 {
    let kept = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE ";
    diesel::select(diesel::dsl::sql::<BigInt>(&format!("({kept}'%{fragment}%')")))
        .get_result(connection)
        .unwrap()
}

fn comment(span: &SpanData) -> String {
    let context = &span.span_context;
    format!(" /*traceparent='00-{}-{}-01'*/", context.trace_id(), context.span_id())
}

fn last(telemetry: &TestTelemetry) -> SpanData {
    telemetry.spans().pop().unwrap()
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn postgres_receives_no_comment_by_default_and_keeps_the_prepared_statement() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced_postgres(&telemetry);
    assert_eq!(received(RUNNING, &mut connection), RUNNING);
    for _ in 0..3 {
        users::table.find(1).load::<(i32, String)>(&mut connection).unwrap();
    }
    assert_eq!(kept(r#"FROM "users"%"#, &mut connection), 1);
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn postgres_receives_each_querys_own_ids_and_keeps_no_statement_with_them() {
    let telemetry = commenting();
    let mut connection = traced_postgres(&telemetry);
    for _ in 0..3 {
        let text = received(RUNNING, &mut connection);
        assert_eq!(text, format!("{RUNNING}{}", comment(&last(&telemetry))));
        assert_eq!(last(&telemetry).name, "SELECT");
    }
    // One that is executed, and one whose kind diesel would keep.
    diesel::sql_query("INSERT INTO users SELECT 1, current_query()").execute(&mut connection).unwrap();
    let inserting = last(&telemetry);
    for _ in 0..3 {
        let email = users::table.find(1).select(users::email).get_result::<String>(&mut connection).unwrap();
        assert_eq!(email, format!("INSERT INTO users SELECT 1, current_query(){}", comment(&inserting)));
    }
    assert_eq!(kept("traceparent=", &mut connection), 0);
    telemetry.assert_absent("traceparent");
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn query_that_diesel_runs_inside_another_does_not_take_its_comment() {
    #[derive(Debug, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "mood"))]
    struct MoodType;
    #[derive(Debug, diesel::expression::AsExpression)]
    #[diesel(sql_type = MoodType)]
    struct Mood;
    impl diesel::serialize::ToSql<MoodType, diesel::pg::Pg> for Mood {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
        ) -> diesel::serialize::Result {
            std::io::Write::write_all(out, b"happy")?;
            Ok(diesel::serialize::IsNull::No)
        }
    }

    let telemetry = commenting();
    let mut connection = traced_postgres(&telemetry);
    connection.batch_execute("CREATE TYPE pg_temp.mood AS ENUM ('happy')").unwrap();
    let query = "SELECT current_query() AS text WHERE $1 IS NOT NULL";
    let row: Row = diesel::sql_query(query).bind::<MoodType, _>(Mood).get_result(&mut connection).unwrap();
    let outer = last(&telemetry);
    assert_eq!(outer.name, "SELECT");
    assert_eq!(row.text, format!("{query}{}", comment(&outer)));
    let names: Vec<String> = telemetry.trees().into_iter().map(|tree| tree.name).collect();
    assert_eq!(names, ["CREATE TYPE pg_temp.mood", "SELECT", "SELECT pg_type"]);
    assert!(telemetry.spans().iter().all(|span| span.status == Status::Unset));
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn trace_that_is_not_sampled_leaves_statements_as_they_are() {
    let telemetry = commenting_with(Sampler::AlwaysOff);
    let mut connection = traced_postgres(&telemetry);
    assert_eq!(received(RUNNING, &mut connection), RUNNING);
    for _ in 0..3 {
        users::table.find(1).load::<(i32, String)>(&mut connection).unwrap();
    }
    assert_eq!(kept(r#"FROM "users"%"#, &mut connection), 1);
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn statement_with_a_comment_of_its_own_is_left_alone() {
    let telemetry = commenting();
    let mut connection = traced_postgres(&telemetry);
    for query in ["SELECT current_query() AS text /*mine*/", "SELECT current_query() AS text -- mine"] {
        assert_eq!(received(query, &mut connection), query);
    }
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn statements_to_postgres_through_a_connection_of_several_backends_carry_it() {
    let telemetry = commenting();
    let connection = traced_postgres(&telemetry);
    let mut connection = Either::Postgres(connection);
    let text = diesel::select(diesel::dsl::sql::<Text>("current_query()"))
        .get_result::<String>(&mut connection)
        .unwrap();
    assert_eq!(text, format!("SELECT current_query(){}", comment(&last(&telemetry))));
}

fn view_text(name: &str, connection: &mut impl LoadSql) -> String {
    connection.load_sql(&format!("SELECT sql AS text FROM sqlite_master WHERE name = '{name}'"))
}

/// One text, from either connection type.
trait LoadSql {
    fn load_sql(&mut self, query: &str) -> String;
}

impl LoadSql for TracedSqlite {
    fn load_sql(&mut self, query: &str) -> String {
        diesel::sql_query(query).get_result::<Row>(self).unwrap().text
    }
}

impl LoadSql for Either {
    fn load_sql(&mut self, query: &str) -> String {
        match self {
            Self::Sqlite(connection) => connection.load_sql(query),
            Self::Postgres(_) => panic!("not SQLite"),
        }
    }
}

#[test]
fn sqlite_receives_each_querys_own_ids() {
    let telemetry = commenting();
    let mut connection = traced_sqlite(&telemetry);
    diesel::sql_query("CREATE VIEW one AS SELECT 1").execute(&mut connection).unwrap();
    let created = last(&telemetry);
    assert_eq!(
        view_text("one", &mut connection),
        format!("CREATE VIEW one AS SELECT 1{}", comment(&created))
    );

    let mut connection = Either::Sqlite(connection);
    diesel::sql_query("CREATE VIEW two AS SELECT 2").execute(&mut connection).unwrap();
    let created = last(&telemetry);
    assert_eq!(
        view_text("two", &mut connection),
        format!("CREATE VIEW two AS SELECT 2{}", comment(&created))
    );
    telemetry.assert_absent("traceparent");
}

#[test]
fn sqlite_receives_no_comment_by_default() {
    let telemetry = TestTelemetry::new();
    let mut connection = traced_sqlite(&telemetry);
    diesel::sql_query("CREATE VIEW one AS SELECT 1").execute(&mut connection).unwrap();
    assert_eq!(view_text("one", &mut connection), "CREATE VIEW one AS SELECT 1");
}

/// What comments cost: `cargo test -p telemetry-core --test db -- --ignored --nocapture cost_of`. The documentation of
/// `db` has what it told.
#[test]
#[ignore = "a measurement"]
fn cost_of_comments() {
    fn each<C>(mut look_up: impl FnMut(&mut C), connection: &mut C) -> Duration {
        const ROUNDS: u32 = 200;
        let mut round = || {
            let started = Instant::now();
            (0..ROUNDS).for_each(|_| look_up(connection));
            started.elapsed() / ROUNDS
        };
        // The best of many: another process's work is no cost of ours.
        (0..100).map(|_| round()).min().unwrap_or_default()
    }
    for (state, telemetry) in [("off", TestTelemetry::new()), ("on", commenting())] {
        let mut sqlite = traced_sqlite(&telemetry);
        let time = each(
            |connection| drop(black_box(users::table.find(1).load::<(i32, String)>(connection).unwrap())),
            &mut sqlite,
        );
        println!("SQLite, {state}: {time:?}");
        if std::env::var_os("TEST_POSTGRES_URL").is_some() {
            let mut postgres = traced_postgres(&telemetry);
            let time = each(
                |connection| drop(black_box(users::table.find(1).load::<(i32, String)>(connection).unwrap())),
                &mut postgres,
            );
            println!("PostgreSQL, {state}: {time:?}");
        }
    }
}
