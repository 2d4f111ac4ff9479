//! The same statement many times under one request.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, test, web};
use diesel::r2d2::ConnectionManager;
use opentelemetry::KeyValue;
use opentelemetry_sdk::trace::Sampler;
use telemetry_core::db::{Pool, PoolOptions};
use telemetry_core::server::websocket::MessageKind;
use telemetry_core::{config, context};

use super::*;

type SqlitePool = Pool<ConnectionManager<SqliteConnection>>;

fn threshold(threshold: u32) -> TestTelemetry {
    threshold_with(Sampler::AlwaysOn, threshold)
}

fn threshold_with(sampler: Sampler, threshold: u32) -> TestTelemetry {
    let mut settings = config::Database::default();
    settings.repeated_query_threshold = threshold;
    TestTelemetry::with_database(sampler, settings)
}

/// Two connections, so that one statement is known twice.
fn pool(telemetry: &TestTelemetry) -> SqlitePool {
    let url = "sqlite://:memory:";
    let options = PoolOptions { max_size: 2, min_idle: 2, ..PoolOptions::default() };
    telemetry.pool(ConnectionManager::new(url), Database::from_url(url).unwrap(), options).unwrap()
}

/// A request whose handler does `work`.
async fn request<W, F>(telemetry: &TestTelemetry, pool: &SqlitePool, work: W)
where
    W: Fn(SqlitePool) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    let (pool, work) = (pool.clone(), std::rc::Rc::new(work));
    let handler = move || {
        let (pool, work) = (pool.clone(), work.clone());
        async move {
            work(pool).await;
            HttpResponse::Ok().finish()
        }
    };
    let app = App::new().route("/", web::get().to(handler)).wrap(telemetry.server());
    let app = test::init_service(app).await;
    test::call_service(&app, test::TestRequest::get().uri("/").to_request()).await;
}

/// On this thread, where log records are collected, and by turns on either connection.
async fn select(pool: &SqlitePool, value: i32) {
    let first = pool.get().unwrap();
    let mut connection = if value % 2 == 0 { first } else { pool.get().unwrap() };
    diesel::sql_query(format!("SELECT {value}")).execute(&mut *connection).unwrap();
}

fn server(telemetry: &TestTelemetry) -> SpanTree {
    let mut trees = telemetry.trees();
    trees.retain(|tree| tree.kind == SpanKind::Server);
    assert_eq!(trees.len(), 1, "{trees:?}");
    trees.remove(0)
}

fn told(summary: &'static str, repetitions: i64) -> (String, std::collections::BTreeMap<String, Value>) {
    let event = span("", SpanKind::Internal).event(
        "db.query.repeated",
        [KeyValue::new("db.query.summary", summary), KeyValue::new("db.query.repetitions", repetitions)],
    );
    event.events.into_iter().next().unwrap()
}

fn warnings(telemetry: &TestTelemetry) -> Vec<String> {
    let logs = telemetry.logs();
    let told = logs.iter().filter(|log| log.body.contains("same query"));
    told.map(|log| log.trace_id.map(|trace| trace.to_string()).unwrap_or_default()).collect()
}

#[actix_web::test]
async fn query_in_a_loop_is_told_once_by_event_attributes_and_warning() {
    let telemetry = threshold(5);
    let _tracing = telemetry.collect_tracing();
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for value in 0..7 {
            select(&pool, value).await;
        }
        pool.run(|connection| diesel::sql_query("DELETE FROM sqlite_sequence").execute(connection).err())
            .await
            .unwrap();
    })
    .await;

    let server = server(&telemetry);
    assert_eq!(server.events, [told("SELECT", 5)]);
    assert_eq!(server.attributes["db.query.repeated"], text("SELECT"));
    assert_eq!(server.attributes["db.query.repetitions"], Value::I64(7));
    assert!(!server.attributes.contains_key("db.query.uncounted"));
    let trace = telemetry.spans()[0].span_context.trace_id().to_string();
    assert_eq!(warnings(&telemetry), [trace]);
}

#[actix_web::test]
async fn each_statement_and_each_request_is_counted_for_itself() {
    let telemetry = threshold(3);
    let _tracing = telemetry.collect_tracing();
    let pool = pool(&telemetry);
    for _ in 0..3 {
        request(&telemetry, &pool, async |pool| {
            for value in 0..2 {
                select(&pool, value).await;
                pool.run(|connection| diesel::sql_query("SELECT 1, 2").execute(connection).unwrap())
                    .await
                    .unwrap();
            }
        })
        .await;
    }
    let trees = telemetry.trees();
    assert_eq!(trees.len(), 3);
    assert!(trees.iter().all(|tree| tree.events.is_empty()), "{trees:?}");
    assert!(trees.iter().all(|tree| !tree.attributes.contains_key("db.query.repetitions")));
    assert!(warnings(&telemetry).is_empty());
}

#[actix_web::test]
async fn statement_is_the_same_on_other_connections_threads_tasks_and_spans() {
    let telemetry = threshold(4);
    let pool = pool(&telemetry);
    let tracer = Arc::new(telemetry.tracer().clone());
    request(&telemetry, &pool, move |pool| {
        let tracer = tracer.clone();
        async move {
            use opentelemetry::trace::Tracer;
            // Each on the connection that the other does not have.
            let (one, other) = (pool.get().unwrap(), pool.get().unwrap());
            let run = |mut connection: telemetry_core::db::PooledConnection<_>| {
                move || {
                    let connection: &mut SqliteConnection = &mut connection;
                    diesel::sql_query("SELECT 1").execute(connection).unwrap();
                }
            };
            context::blocking(run(one)).await;
            context::spawn(context::blocking(run(other))).await.unwrap();
            let mut connection = pool.get().unwrap();
            tracer.in_span("step", |_| diesel::sql_query("SELECT 1").execute(&mut *connection)).unwrap();
            connection.transaction(|connection| diesel::sql_query("SELECT 1").execute(connection)).unwrap();
        }
    })
    .await;
    assert_eq!(server(&telemetry).events, [told("SELECT", 4)]);
}

#[actix_web::test]
async fn background_task_is_counted_for_itself() {
    let telemetry = Arc::new(threshold(3));
    let pool = pool(&telemetry);
    let own = telemetry.clone();
    request(&telemetry, &pool, move |pool| {
        let own = own.clone();
        async move {
            select(&pool, 0).await;
            select(&pool, 0).await;
            own.background("rebuild", async move {
                for value in 0..3 {
                    select(&pool, value).await;
                }
            });
        }
    })
    .await;
    assert!(telemetry.background_done(Duration::from_secs(10)).await);
    let server = server(&telemetry);
    assert!(server.events.is_empty());
    let task = server.children.iter().find(|child| child.name == "rebuild").unwrap();
    assert_eq!(task.events, [told("SELECT", 3)]);
    assert_eq!(task.attributes["db.query.repetitions"], Value::I64(3));
}

#[actix_web::test]
async fn each_message_of_a_connection_and_each_linked_task_is_counted_for_itself() {
    let telemetry = threshold(3);
    let _tracing = telemetry.collect_tracing();
    let pool = pool(&telemetry);
    let upgrade = test::TestRequest::get().uri("/events").to_http_request();
    let socket = telemetry.websockets().observe(&upgrade, &mut HttpResponse::SwitchingProtocols().finish());
    let select_all = async |times| {
        for value in 0..times {
            select(&pool, value).await;
        }
    };
    socket.received(MessageKind::Text, 1, select_all(2)).await;
    socket.received(MessageKind::Text, 1, select_all(4)).await;
    let own = pool.clone();
    telemetry.background_linked("recover", "no traceparent", async move {
        for value in 0..3 {
            select(&own, value).await;
        }
    });
    assert!(telemetry.background_done(Duration::from_secs(10)).await);

    let trees = telemetry.trees();
    let [first, second, recover] = &trees[..] else { panic!("three traces: {trees:?}") };
    assert!(first.events.is_empty() && !first.attributes.contains_key("db.query.repetitions"));
    assert_eq!((second.kind.clone(), &second.events[..]), (SpanKind::Consumer, &[told("SELECT", 3)][..]));
    assert_eq!(second.attributes["db.query.repetitions"], Value::I64(4));
    assert_eq!((recover.name.as_str(), &recover.events[..]), ("recover", &[told("SELECT", 3)][..]));
    assert_eq!(warnings(&telemetry).len(), 2);
}

#[actix_web::test]
async fn different_statements_are_bounded_and_the_rest_is_counted_as_such() {
    let telemetry = threshold(2);
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for columns in 1..=70 {
            let query = format!("SELECT {}", vec!["1"; columns].join(", "));
            let again = query.clone();
            pool.run(move |connection| diesel::sql_query(query).execute(connection).unwrap()).await.unwrap();
            if columns > 64 {
                pool.run(move |connection| diesel::sql_query(again).execute(connection).unwrap())
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    let server = server(&telemetry);
    assert!(server.events.is_empty());
    assert_eq!(server.attributes["db.query.uncounted"], Value::I64(12));
}

#[actix_web::test]
async fn import_in_chunks_is_no_loop_by_default() {
    let telemetry = TestTelemetry::new();
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for _ in 0..40 {
            select(&pool, 0).await;
        }
    })
    .await;
    assert!(server(&telemetry).events.is_empty());
    request(&telemetry, &pool, async |pool| {
        for _ in 0..50 {
            select(&pool, 0).await;
        }
    })
    .await;
    let trees = telemetry.trees();
    assert_eq!(trees[1].events, [told("SELECT", 50)]);
}

#[actix_web::test]
async fn zero_switches_it_off() {
    let telemetry = threshold(0);
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for _ in 0..100 {
            select(&pool, 0).await;
        }
    })
    .await;
    assert!(server(&telemetry).events.is_empty());
}

#[actix_web::test]
async fn trace_that_is_not_sampled_still_has_its_warning() {
    let telemetry = threshold_with(Sampler::AlwaysOff, 3);
    let _tracing = telemetry.collect_tracing();
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for _ in 0..3 {
            select(&pool, 0).await;
        }
    })
    .await;
    assert_eq!(telemetry.spans().len(), 0);
    assert_eq!(warnings(&telemetry).len(), 1);
}

#[actix_web::test]
async fn count_goes_on_without_another_word() {
    let telemetry = threshold(10);
    let _tracing = telemetry.collect_tracing();
    let pool = pool(&telemetry);
    request(&telemetry, &pool, async |pool| {
        for value in 0..1_000 {
            select(&pool, value).await;
        }
    })
    .await;
    let server = server(&telemetry);
    assert_eq!(server.events.len(), 1);
    assert_eq!(server.attributes["db.query.repetitions"], Value::I64(1_000));
    assert_eq!(warnings(&telemetry).len(), 1);
}
