//! Callers that want to harm: what they send must cost nobody memory or money.

#[expect(dead_code, reason = "other tests use more of it")]
mod support;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use telemetry_core::testing::TestTelemetry;

use support::{TestServer, eventually};

/// Numbers without a pattern that are the same in every run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn word(&mut self) -> String {
        (0..8).map(|_| char::from(b'A' + (self.next() % 26) as u8)).collect()
    }

    fn one_of<const N: usize>(&mut self, options: [String; N]) -> String {
        let place = self.next() as usize % N;
        options.into_iter().nth(place).expect("the place is one of them")
    }
}

/// A request of which everything is chance that a caller may choose.
fn request(chance: &mut Chance) -> String {
    let (host, word, query) = (chance.word(), chance.word(), chance.word());
    let method = chance.one_of(["GET".to_owned(), "POST".to_owned(), word.clone(), "get".to_owned()]);
    let path = chance.one_of([
        format!("/orders/{word}?{query}={word}"),
        format!("/{word}/{query}"),
        format!("http://{host}.example:81/orders/{word}"),
        "/fails".to_owned(),
    ]);
    let version = chance.one_of(["1.0".to_owned(), "1.1".to_owned()]);
    let mut text =
        format!("{method} {path} HTTP/{version}\r\nhost: {host}.example:{}\r\n", chance.next() % 65_536);
    for name in [
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "content-type",
        "traceparent",
        "tracestate",
        "baggage",
        "x-tenant",
    ] {
        let value = match name {
            "forwarded" => format!("for={word};host={query};proto={}", chance.word()),
            "baggage" => format!("tenant.id={word},{query}={word}"),
            _ => chance.word(),
        };
        write!(text, "{name}: {value}\r\n").expect("a String takes all");
    }
    write!(text, "x-{}: {}\r\nconnection: close\r\n\r\n", chance.word(), chance.word())
        .expect("a String takes all");
    text
}

/// Sends it; whether the application has seen it, and not the parser of HTTP alone.
fn send(server: &TestServer, request: &str) -> bool {
    let mut stream = TcpStream::connect(server.address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the server answers");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1."), "{request}\n{answer}");
    answer.contains("\r\ntraceresponse: ")
}

#[actix_web::test]
async fn no_caller_can_make_metric_series() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config| {
        config
            .route("/orders/{id}", web::to(async || "order"))
            .route("/fails", web::to(async || HttpResponse::InternalServerError().finish()));
    });
    let attack = async |seed, count: usize| {
        let mut chance = Chance(seed);
        let before = telemetry.spans().len();
        let seen = (0..count).filter(|_| send(&server, &request(&mut chance))).count();
        assert!(seen > count / 2, "the parser refused {} of {count}", count - seen);
        eventually("all requests are told", || telemetry.spans().len() == before + seen).await;
        telemetry.metrics().into_iter().map(|series| (series.name, series.attributes)).collect::<Vec<_>>()
    };
    // Every combination that the server itself tells apart.
    let first = attack(1, 400).await;
    assert!(!first.is_empty() && first.len() < 100, "{} series: {first:#?}", first.len());
    let second = attack(2, 800).await;
    let new: Vec<_> = second.iter().filter(|series| !first.contains(series)).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert_eq!(first.len(), second.len());
}
