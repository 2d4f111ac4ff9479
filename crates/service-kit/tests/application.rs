//! What is around the routes of every service: who is let in, for how long, and what every answer says.

use std::future::pending;
use std::time::Duration;

use actix_web::{HttpResponse, get, post, web};
use diesel_migrations::EmbeddedMigrations;
use serde_json::Value;
use service_kit::app::Parts;
use service_kit::db::{Database, DatabaseError};
use service_kit::testing::{Answer, TestApp};
use service_kit::{Service, deadline};
use telemetry_core::config::Env;
use telemetry_core::context;
use telemetry_core::db::PoolError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use utoipa_actix_web::service_config::ServiceConfig;

/// A service with work that takes its time.
#[derive(Clone)]
struct Slow {
    database: Database,
}

impl Service for Slow {
    const NAME: &'static str = "slow-service";
    const VERSION: &'static str = "1.2.3";
    const PORT: u16 = 0;
    const MIGRATIONS: EmbeddedMigrations = EmbeddedMigrations::new(&[]);

    type Settings = ();

    fn settings(_: &mut Env) {}

    fn build((): (), parts: Parts) -> anyhow::Result<Self> {
        Ok(Self { database: parts.database })
    }

    fn routes(&self, config: &mut ServiceConfig) {
        config
            .app_data(web::Data::new(self.database.clone()))
            .service(hold)
            .service(never)
            .service(tell_left)
            .service(tell_service)
            .service(query)
            .service(echo);
    }
}

/// One for each request that has come to `/held`, and for each that may leave it. One test alone uses them.
static ENTERED: Semaphore = Semaphore::const_new(0);
static LEAVE: Semaphore = Semaphore::const_new(0);

#[utoipa::path(responses((status = 200)))]
#[get("/held")]
async fn hold() -> HttpResponse {
    ENTERED.add_permits(1);
    LEAVE.acquire().await.unwrap().forget();
    HttpResponse::Ok().json("left")
}

#[utoipa::path(responses((status = 200)))]
#[get("/never")]
async fn never() -> HttpResponse {
    pending().await
}

/// The milliseconds that the caller still waits.
#[utoipa::path(responses((status = 200)))]
#[get("/left")]
async fn tell_left() -> web::Json<Option<u64>> {
    let left = deadline::current().map(|until| until.saturating_duration_since(Instant::now()));
    web::Json(left.map(|left| left.as_millis() as u64))
}

#[utoipa::path(responses((status = 200)))]
#[get("/internal/left")]
async fn tell_service() -> &'static str {
    "\"left\""
}

/// Waits until 40 ms from now for a connection, while all of them are busy; tells how long it was meant to wait.
#[utoipa::path(responses((status = 200)))]
#[get("/query")]
async fn query(database: web::Data<Database>) -> HttpResponse {
    let mut busy = Vec::new();
    let outcome = loop {
        let (taken, is_taken) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        let until = Instant::now() + Duration::from_millis(40);
        let work = database.get_ref().clone();
        let work = context::spawn(deadline::within(Some(until), async move {
            let queries = move |_: &mut _| {
                let _ = taken.send(());
                // Until the other end is dropped.
                let _ = released.recv();
                Ok::<_, DatabaseError>(())
            };
            work.write(queries).await
        }));
        if is_taken.await.is_err() {
            break work.await.unwrap();
        }
        busy.push((release, work));
    };
    for (release, work) in busy {
        drop(release);
        work.await.unwrap().unwrap();
    }
    match outcome {
        Err(DatabaseError::Unavailable(PoolError::Timeout { timeout, .. })) => {
            HttpResponse::Ok().json(timeout.as_millis() as u64)
        }
        other => HttpResponse::Ok().json(format!("{other:?}")),
    }
}

#[utoipa::path(request_body = Value, responses((status = 200)))]
#[post("/echo")]
async fn echo(body: web::Json<Value>) -> web::Json<Value> {
    body
}

async fn with_timeout(app: &TestApp, path: &str, milliseconds: &str) -> Answer {
    app.get(path).with(|request| request.header(deadline::HEADER, milliseconds)).send().await
}

#[actix_web::test]
async fn beyond_what_may_be_at_work_requests_are_sent_away_and_health_is_told_all_the_same() {
    let limits = [("MAX_CONCURRENT_REQUESTS", "1"), ("MAX_QUEUED_REQUESTS", "0")];
    let app = TestApp::spawn::<Slow>(limits).await;
    let meanwhile = async {
        ENTERED.acquire().await.unwrap().forget();
        let refused = app.get("/left").send().await;
        refused.assert_problem(503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        for path in ["/", "/health", "/ready", "/metrics"] {
            assert_eq!(app.get(path).send().await.status, 200, "{path}");
        }
        // What a service asks for is part of what was let in elsewhere. That it is one is not believed of anybody.
        assert_eq!(app.get("/internal/left").from_service().send().await.status, 200);
        app.get("/internal/left").send().await.assert_problem(503, "overloaded");
        app.get("/left").from_service().send().await.assert_problem(503, "overloaded");
        LEAVE.add_permits(1);
    };
    let (held, ()) = tokio::join!(app.get("/held").send(), meanwhile);
    assert_eq!(held.json(200), "left", "what was let in is finished");
    app.get("/left").send().await.json(200);
    let shed = app.telemetry.metric("overload.requests.shed").with("shed.reason", "queue_full");
    assert_eq!(shed.value(), 3.0);
    let traces = app.traces(7).await;
    let told = |name: &str| traces.iter().filter(|tree| tree.attributes.contains_key(name)).count();
    assert_eq!(told("shed.reason"), 3, "{traces:?}");
}

#[actix_web::test]
async fn a_request_is_given_the_time_that_its_caller_has_and_no_more() {
    let app = TestApp::spawn::<Slow>([("REQUEST_TIMEOUT_MS", "5000")]).await;
    let left = |answer: Answer| answer.json(200).as_u64().expect("there is a deadline");
    assert!((1..=5_000).contains(&left(app.get("/left").send().await)));
    assert!((1..=900).contains(&left(with_timeout(&app, "/left", "900").await)));
    assert!((1..=5_000).contains(&left(with_timeout(&app, "/left", "86400000").await)), "ours is shorter");
    assert!((1_000..=5_000).contains(&left(with_timeout(&app, "/left", "soon").await)), "that says nothing");
    with_timeout(&app, "/left", "0").await.assert_problem(503, "overloaded");
    with_timeout(&app, "/never", "50").await.assert_problem(504, "deadline_exceeded");
    let shed = app.telemetry.metric("overload.requests.shed").with("shed.reason", "deadline_over");
    assert_eq!(shed.value(), 1.0);
}

#[actix_web::test]
async fn a_request_of_a_caller_who_says_nothing_is_ended_too() {
    let app = TestApp::spawn::<Slow>([("REQUEST_TIMEOUT_MS", "100")]).await;
    app.get("/never").send().await.assert_problem(504, "deadline_exceeded");
}

#[actix_web::test]
async fn a_connection_to_the_database_is_waited_for_no_longer_than_the_deadline() {
    let app = TestApp::spawn::<Slow>([]).await;
    let waited = app.get("/query").send().await.json(200);
    assert!(waited.as_u64().is_some_and(|milliseconds| milliseconds <= 40), "{waited}");
}

#[actix_web::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let app = TestApp::spawn::<Slow>([]).await;
    let mut connection = TcpStream::connect(app.address()).await.unwrap();
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // Also the connection is closed.
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body_too_slow"), "{answer}");
}

#[actix_web::test]
async fn json_without_end_of_depth_is_refused() {
    let app = TestApp::spawn::<Slow>([]).await;
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let send = async |body: String| {
        let request = app.request(reqwest::Method::POST, "/echo");
        request.with(|request| request.header("content-type", "application/json").body(body)).send().await
    };
    assert_eq!(send(nested(100)).await.status, 200);
    for depth in [129, 10_000] {
        send(nested(depth)).await.assert_problem(400, "invalid_json");
    }
}

#[actix_web::test]
async fn every_answer_tells_a_browser_to_do_nothing_with_it() {
    let limits = [("MAX_CONCURRENT_REQUESTS", "1"), ("MAX_QUEUED_REQUESTS", "0")];
    let app = TestApp::spawn::<Slow>(limits).await;
    let wrong = app.request(reqwest::Method::POST, "/echo");
    let wrong = wrong.with(|request| request.header("content-type", "text/plain").body("x"));
    for (status, answer) in [
        (200, app.get("/left").send().await),
        (200, app.get("/health").send().await),
        (404, app.get("/nowhere").send().await),
        (415, wrong.send().await),
        (503, with_timeout(&app, "/left", "0").await),
        (504, with_timeout(&app, "/never", "50").await),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{answer:?}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{answer:?}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{answer:?}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    }
    let page = app.get("/docs/index.html").send().await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"), "{page:?}");
}

#[actix_web::test]
async fn only_pages_of_named_origins_may_read_the_answers() {
    let app = TestApp::spawn::<Slow>([("CORS_ALLOWED_ORIGINS", "https://shop.example")]).await;
    for (origin, allowed) in [
        ("https://shop.example", "https://shop.example"),
        ("https://shop.example.evil.example", ""),
        ("http://shop.example", ""),
        ("null", ""),
    ] {
        let ask = async |path: &str, milliseconds: &str| {
            let request = app.get(path).with(|request| request.header("origin", origin));
            request.with(|request| request.header(deadline::HEADER, milliseconds)).send().await
        };
        for (status, answer) in [
            (200, ask("/left", "5000").await),
            // Refused and given up: a page is to learn that it may come again, and when.
            (503, ask("/left", "0").await),
            (504, ask("/never", "50").await),
        ] {
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin}");
            assert_eq!(answer.header("access-control-allow-credentials"), "", "{origin}");
            let vary = answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap());
            assert!(vary.into_iter().any(|names| names.to_lowercase().contains("origin")), "{answer:?}");
        }
    }
}
