//! How a service's telemetry is tested: each test has telemetry of its own, in memory, and asks for it by value.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, HttpServer, web};
use notes::{Note, Notes};
use telemetry_core::opentelemetry::trace::{SpanKind, Status};
use telemetry_core::testing::{SpanTree, TestTelemetry, span};

/// The service under test, and its peer, which always answers the same.
struct Running {
    telemetry: TestTelemetry,
    service: SocketAddr,
    peer: SocketAddr,
}

fn run(peer: fn() -> HttpResponse) -> Running {
    // The peer has no telemetry: it is somebody else's.
    let route = move || App::new().route("/language", web::get().to(move || async move { peer() }));
    let server = HttpServer::new(route).workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let peer = server.addrs()[0];
    telemetry_core::context::spawn_local(server.run());

    let telemetry = TestTelemetry::new();
    let notes = Notes::new(&telemetry, format!("http://{peer}/language")).unwrap();
    let service = notes::start(&telemetry, notes).unwrap();
    Running { telemetry, service, peer }
}

impl Running {
    async fn take_note(&self, email: &str) -> u16 {
        let note = Note { email: email.to_owned(), text: "Buy milk".to_owned() };
        // The test's own calls have telemetry apart, so that the service's is the service's alone.
        let client = TestTelemetry::new().client();
        let answer = client.post(format!("http://{}/notes", self.service)).json(&note).send().await.unwrap();
        answer.status().as_u16()
    }

    /// The span of the request for a language.
    fn asking(&self) -> SpanTree {
        span("GET", SpanKind::Client)
            .attribute("http.request.method", "GET")
            .attribute("url.full", format!("http://{}/language", self.peer))
            .attribute("server.address", "127.0.0.1")
            .any(["server.port", "network.peer.address", "network.peer.port", "network.protocol.version"])
    }
}

/// The span of a request to the service.
fn request(status: i64) -> SpanTree {
    span("POST /notes", SpanKind::Server)
        .attribute("http.request.method", "POST")
        .attribute("http.route", "/notes")
        .attribute("http.response.status_code", status)
        .attribute("url.scheme", "http")
        .attribute("url.path", "/notes")
        .any(["server.address", "server.port", "client.address"])
        .any(["network.peer.address", "network.peer.port", "network.protocol.version"])
}

fn statement(name: &'static str, text: &'static str) -> SpanTree {
    span(name, SpanKind::Client)
        .attribute("db.system.name", "sqlite")
        .attribute("db.namespace", ":memory:")
        .attribute("db.operation.name", name.split(' ').next().unwrap())
        .attribute("db.collection.name", "notes")
        .attribute("db.query.summary", name)
        .attribute("db.query.text", text)
}

fn create_table() -> SpanTree {
    span("CREATE TABLE notes", SpanKind::Client)
        .any(["db.system.name", "db.namespace", "db.operation.name"])
        .any(["db.collection.name", "db.query.summary", "db.query.text"])
}

#[actix_web::test]
async fn a_note_is_one_trace_through_peer_and_database() {
    let test = run(|| HttpResponse::Ok().body("en"));
    assert_eq!(test.take_note("ada@example.com").await, 201);
    let insert = statement("INSERT notes", "INSERT INTO notes (email, body) VALUES (?, ?)");
    let asking = test.asking().attribute("http.response.status_code", 200_i64);
    test.telemetry.assert_trees([create_table(), request(201).child(asking).child(insert)]).await;
}

#[actix_web::test]
async fn a_failing_peer_is_told_and_no_note_is_taken() {
    let test = run(|| HttpResponse::ServiceUnavailable().finish());
    assert_eq!(test.take_note("ada@example.com").await, 502);
    let trees = test.telemetry.finished(2).await;
    let failed = trees.last().unwrap();
    assert_eq!(failed.attributes["error.type"], "502".into());
    assert!(matches!(failed.status, Status::Error { .. }));
    let [asking] = &failed.children[..] else { panic!("one call, and no statement: {failed:?}") };
    assert_eq!(asking.attributes["error.type"], "503".into());
    test.telemetry.metric("notes.taken").assert_absent();
    let calls = test.telemetry.metric("http.client.request.duration").with("error.type", "503");
    assert_eq!(calls.count(), 1);
}

#[actix_web::test]
async fn notes_are_counted_by_language() {
    let test = run(|| HttpResponse::Ok().body("en"));
    test.take_note("ada@example.com").await;
    test.take_note("bob@example.com").await;
    // With the span of a request, its metrics are there too.
    test.telemetry.finished(3).await;
    let taken = test.telemetry.metric("notes.taken").with("language", "en");
    assert_eq!((taken.value(), taken.unit().as_str()), (2.0, "{note}"));
    let requests = test.telemetry.metric("http.server.request.duration").with("http.route", "/notes");
    assert_eq!((requests.count(), requests.unit().as_str()), (2, "s"));
}

/// `collect_tracing` takes what this thread says, so here the service has no threads of its own.
#[actix_web::test]
async fn an_event_is_a_log_record_that_knows_its_span() {
    let Running { telemetry, peer, .. } = run(|| HttpResponse::Ok().body("en"));
    let _tracing = telemetry.collect_tracing();
    let notes = Notes::new(&telemetry, format!("http://{peer}/language")).unwrap();
    let app = App::new().app_data(web::Data::new(notes)).configure(notes::configure);
    let app = actix_web::test::init_service(app.wrap(telemetry.server())).await;
    let note = Note { email: "ada@example.com".to_owned(), text: "Buy milk".to_owned() };
    let request = actix_web::test::TestRequest::post().uri("/notes").set_json(note).to_request();
    let answer = actix_web::test::call_service(&app, request).await;
    assert_eq!(actix_web::test::read_body(answer).await, "");
    let log = telemetry.log("note taken");
    assert_eq!((log.severity.as_str(), log.text("note.language")), ("INFO", Some("en")));
    assert_eq!(log.span.as_deref(), Some("POST /notes"));
}

#[actix_web::test]
async fn whose_note_it_is_and_what_it_says_is_nowhere() {
    let test = run(|| HttpResponse::Ok().body("en"));
    assert_eq!(test.take_note("canary.ada@example.com").await, 201);
    test.telemetry.finished(2).await;
    test.telemetry.assert_all_absent(["canary.ada@example.com", "Buy milk"]);
}
