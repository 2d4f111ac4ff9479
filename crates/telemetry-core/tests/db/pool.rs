//! The pool: waiting, giving up, and what is not traced.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::r2d2::ConnectionManager;
use telemetry_core::db::{Pool, PoolError, PoolOptions};
use telemetry_core::testing::Series;

use super::*;

#[derive(diesel::MultiConnection)]
enum AnyConnection {
    Postgresql(PgConnection),
    Sqlite(SqliteConnection),
}

type SqlitePool = Pool<ConnectionManager<SqliteConnection>>;

fn options(max_size: u32) -> PoolOptions {
    PoolOptions { max_size, name: Some("write".to_owned()), ..PoolOptions::default() }
}

fn memory_pool(telemetry: &TestTelemetry, options: PoolOptions) -> SqlitePool {
    let url = "sqlite://:memory:";
    telemetry
        .pool_with_set_up(
            ConnectionManager::new(url),
            Database::from_url(url).unwrap(),
            options,
            |connection: &mut SqliteConnection| connection.batch_execute(SCHEMA),
        )
        .unwrap()
}

fn wait() -> SpanTree {
    span("wait_for_connection", SpanKind::Internal)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", ":memory:")
        .attribute("db.client.connection.pool.name", "write")
}

fn of_pool(telemetry: &TestTelemetry, name: &str) -> Vec<Series> {
    let mut series = telemetry.metrics();
    series.retain(|series| series.name == format!("db.client.connection.{name}"));
    assert!(
        series.iter().all(|series| series.attributes["db.client.connection.pool.name"] == text("write")),
        "{series:?}"
    );
    series
}

/// The value of a metric that has one series.
fn value(telemetry: &TestTelemetry, name: &str) -> f64 {
    let series = of_pool(telemetry, name);
    assert_eq!(series.len(), 1, "{name}: {series:?}");
    series[0].value
}

fn count(telemetry: &TestTelemetry, state: &str) -> f64 {
    let series = of_pool(telemetry, "count");
    let found = series.iter().find(|series| series.attributes["db.client.connection.state"] == text(state));
    found.unwrap_or_else(|| panic!("no {state}: {series:?}")).value
}

#[tokio::test]
async fn work_runs_with_a_traced_connection_in_the_current_trace() {
    use opentelemetry::Context;
    use opentelemetry::context::FutureExt;
    use opentelemetry::trace::{TraceContextExt, Tracer};

    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    let request = Context::new().with_span(telemetry.tracer().start("request"));
    let added = pool.run(|connection| insert_user(1, "a", connection)).with_context(request.clone()).await;
    assert_eq!(added.unwrap(), Ok(1));
    request.span().end();
    assert_eq!(
        telemetry.trees(),
        [span("request", SpanKind::Internal).child(query_of("INSERT", "users", INSERT_USER))],
        "neither set-up nor health check is traced"
    );
}

#[tokio::test]
async fn panic_of_the_work_reaches_the_caller_and_the_pool_goes_on() {
    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    let broken = pool.clone();
    #[expect(clippy::disallowed_methods, reason = "the test needs the task's panic, and no trace")]
    let task = tokio::spawn(async move {
        let work = |connection: &mut SqliteConnection| {
            connection.transaction(|connection| -> QueryResult<()> {
                insert_user(1, "a", connection)?;
                panic!("a bug of the application");
            })
        };
        broken.run(work).await
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(telemetry.trees(), [transaction("abandoned").child(query_of("INSERT", "users", INSERT_USER))]);
    pool.run(|connection| insert_user(1, "a", connection)).await.unwrap().unwrap();
}

#[test]
fn query_that_diesel_left_ends_when_the_connection_is_given_back() {
    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    let mut connection = pool.get().unwrap();
    let left = diesel::sql_query("SELECT 1").bind::<diesel::sql_types::Text, _>("one value too many");
    left.execute(&mut *connection).unwrap_err();
    assert_eq!(telemetry.spans().len(), 0);
    drop(connection);
    assert_eq!(telemetry.trees()[0].attributes["error.type"], text("unfinished"));
}

#[test]
fn idle_connection_is_had_without_a_wait_span() {
    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    drop(pool.get().unwrap());
    assert_eq!(telemetry.spans().len(), 0);
    assert_eq!(of_pool(&telemetry, "wait_time")[0].count, 1);
    assert_eq!(of_pool(&telemetry, "use_time")[0].count, 1);
    assert_eq!(of_pool(&telemetry, "create_time")[0].count, 1);
}

#[test]
fn waiting_for_a_connection_is_a_span_and_a_pending_request() {
    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    let held = pool.get().unwrap();
    assert_eq!((count(&telemetry, "used"), count(&telemetry, "idle")), (1.0, 0.0));
    assert_eq!(value(&telemetry, "pending_requests"), 0.0);
    let (done, waited) = mpsc::channel();
    let waiter = pool.clone();
    std::thread::spawn(move || done.send(waiter.get().map(drop)));
    let deadline = Instant::now() + Duration::from_secs(4);
    while value(&telemetry, "pending_requests") != 1.0 {
        assert!(Instant::now() < deadline, "nobody waits");
        std::thread::yield_now();
    }
    drop(held);
    waited.recv().unwrap().unwrap();

    assert_eq!(telemetry.trees(), [wait()]);
    assert_eq!(value(&telemetry, "pending_requests"), 0.0);
    assert_eq!((count(&telemetry, "used"), count(&telemetry, "idle")), (0.0, 1.0));
    assert_eq!((value(&telemetry, "max"), value(&telemetry, "idle.min")), (1.0, 1.0));
    let series = of_pool(&telemetry, "wait_time");
    assert_eq!((series[0].count, series[0].unit.as_str()), (2, "s"));
    assert!(of_pool(&telemetry, "timeouts").is_empty());
}

#[test]
fn waiting_in_vain_is_an_error_and_a_timeout() {
    let telemetry = TestTelemetry::new();
    let timeout = Duration::from_millis(50);
    let pool = memory_pool(&telemetry, PoolOptions { connection_timeout: timeout, ..options(1) });
    let _held = pool.get().unwrap();
    let error = pool.get().err().unwrap();
    assert!(matches!(&error, PoolError::Timeout { timeout: told, .. } if *told == timeout), "{error:?}");
    assert_eq!(error.to_string(), "no connection of pool write became free within 50ms");
    assert_eq!(
        telemetry.trees(),
        [wait().status(Status::error(error.to_string())).attribute("error.type", "timeout")]
    );
    assert_eq!(value(&telemetry, "timeouts"), 1.0);
}

#[test]
fn dropped_pool_is_no_longer_counted() {
    let telemetry = TestTelemetry::new();
    let pool = memory_pool(&telemetry, options(1));
    assert_eq!(count(&telemetry, "idle"), 1.0);
    drop(pool);
    assert_eq!(of_pool(&telemetry, "count"), []);
}

#[test]
fn pool_that_cannot_connect_is_not_made_and_says_why_without_the_password() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let options = PoolOptions { connection_timeout: Duration::from_millis(200), ..options(1) };
    let url = "postgres://joe:canary@127.0.0.1:1/orders";
    let manager = ConnectionManager::<PgConnection>::new(url);
    let error = telemetry.pool(manager, Database::from_url(url).unwrap(), options).err().unwrap();
    let PoolError::Connect { pool, source } = &error else { panic!("{error:?}") };
    assert_eq!(&**pool, "write");
    assert!(source.to_string().contains("127.0.0.1"), "{source}");
    assert!(!format!("{error} {error:?} {source}").contains("canary"), "{error:?}");
    telemetry.assert_absent("canary");
}

/// What libpq takes for ports, hosts and options where a password has characters that a URL keeps for itself.
#[test]
fn driver_that_quotes_pieces_of_the_url_is_not_repeated() {
    for url in [
        "postgres://joe:canary/x@127.0.0.1:1/orders",
        "postgres://joe:canary?x@127.0.0.1:1/orders",
        "postgres://joe:x@canary@127.0.0.1:1/orders",
        "joe:canary@127.0.0.1",
        "host=127.0.0.1 port=1 password=x canary",
    ] {
        let telemetry = TestTelemetry::new();
        let options = PoolOptions { connection_timeout: Duration::from_millis(200), ..options(1) };
        let manager = ConnectionManager::<PgConnection>::new(url);
        let database = Database::from_url("postgres://127.0.0.1:1/orders").unwrap();
        let Err(error) = telemetry.pool(manager, database, options) else { panic!("{url} cannot work") };
        let Some(source) = std::error::Error::source(&error) else { panic!("{error:?} has a reason") };
        assert!(!format!("{error} {error:?} {source}").contains("canary"), "{url}: {source}");
        assert!(source.to_string().len() > 20, "{source}");
    }
}

#[test]
fn set_up_that_fails_is_a_connection_that_failed() {
    let telemetry = TestTelemetry::new();
    let url = "sqlite://:memory:";
    let options = PoolOptions { connection_timeout: Duration::from_millis(100), ..options(1) };
    let error = telemetry
        .pool_with_set_up(
            ConnectionManager::<SqliteConnection>::new(url),
            Database::from_url(url).unwrap(),
            options,
            |connection: &mut SqliteConnection| connection.batch_execute("PRAGMA nonsense("),
        )
        .err()
        .unwrap();
    assert!(matches!(error, PoolError::Connect { .. }), "{error:?}");
}

#[test]
fn contradicting_options_are_refused() {
    let telemetry = TestTelemetry::new();
    let url = "sqlite://:memory:";
    let table = [
        PoolOptions { max_size: 0, min_idle: 0, ..PoolOptions::default() },
        PoolOptions { max_size: 1, min_idle: 2, ..PoolOptions::default() },
        PoolOptions { connection_timeout: Duration::ZERO, ..PoolOptions::default() },
    ];
    for options in table {
        let manager = ConnectionManager::<SqliteConnection>::new(url);
        let error = telemetry.pool(manager, Database::from_url(url).unwrap(), options.clone()).err();
        assert!(matches!(error, Some(PoolError::Options(_))), "{options:?}: {error:?}");
    }
}

#[test]
fn connection_of_several_backends_can_be_pooled() {
    let telemetry = TestTelemetry::new();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("any.db").display());
    let manager = ConnectionManager::<AnyConnection>::new(&url);
    let pool = telemetry.pool(manager, Database::from_url(&url).unwrap(), options(1)).unwrap();
    let mut connection = pool.get().unwrap();
    connection.batch_execute("CREATE TABLE users (id INTEGER, email TEXT)").unwrap();
    connection
        .transaction(|connection| {
            diesel::insert_into(users::table)
                .values((users::id.eq(1), users::email.eq("a")))
                .execute(connection)
        })
        .unwrap();

    let names: Vec<String> = telemetry.spans().iter().map(|span| span.name.to_string()).collect();
    assert_eq!(names, ["CREATE TABLE users", "INSERT users", "transaction"]);
}
