//! Callers that want to harm: what they send must cost nobody memory or money.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use diesel::prelude::*;
use opentelemetry::Value;
use telemetry_core::config::Http;
use telemetry_core::db::{Database, instrument};
use telemetry_core::opentelemetry;
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

/// Every series, without its values.
fn series(telemetry: &TestTelemetry) -> Vec<(String, BTreeMap<String, Value>)> {
    telemetry.metrics().into_iter().map(|series| (series.name, series.attributes)).collect()
}

#[actix_web::test]
async fn nobody_who_chooses_the_peers_can_make_metric_series() {
    let telemetry = TestTelemetry::new();
    // The peers are real: all of 127.0.0.0/8 is this machine, and one port of it answers.
    let peer = TestServer::at(Ipv4Addr::UNSPECIFIED, TestTelemetry::new().server(), |config| {
        config.default_service(web::to(async |request: HttpRequest| {
            let is_refused = request.path().len().is_multiple_of(2);
            HttpResponse::build(if is_refused { StatusCode::NOT_FOUND } else { StatusCode::OK }).finish()
        }));
    });
    let client = telemetry.client();
    let attack = async |seed, count: usize| {
        let mut chance = Chance(seed);
        for _ in 0..count {
            let word = chance.word();
            let method = chance.one_of(["GET".to_owned(), "POST".to_owned(), word]);
            let host =
                format!("127.{}.{}.{}", chance.next() % 200, chance.next() % 200, 1 + chance.next() % 200);
            let port = if chance.next().is_multiple_of(4) { 1 } else { peer.address.port() };
            let (path, query) = (chance.word(), chance.word());
            let url = format!(
                "http://{host}:{port}/{path}{}?{query}={path}",
                "x".repeat(chance.next() as usize % 2)
            );
            let request =
                client.request(method.parse().expect("a method"), url).header("x-tag", chance.word());
            let _ = request.header("host", chance.word()).send().await;
        }
        series(&telemetry)
    };
    attack(1, 400).await;
    let before = attack(2, 400).await;
    assert!(before.len() < 4 * 1300, "{} series", before.len());
    let after = attack(3, 400).await;
    let hosts = |all: &[(String, BTreeMap<String, Value>)]| {
        let hosts = all.iter().filter_map(|(_, attributes)| attributes.get("server.address"));
        hosts.map(ToString::to_string).collect::<BTreeSet<_>>()
    };
    assert_eq!(hosts(&before), hosts(&after));
    assert_eq!(hosts(&after).len(), 101, "a hundred and the rest");
    let others = |all: &[(String, BTreeMap<String, Value>)]| {
        let other = Value::from("_OTHER");
        let others = all.iter().filter(|(_, attributes)| attributes.get("server.address") == Some(&other));
        others.map(|series| format!("{series:?}")).collect::<BTreeSet<_>>()
    };
    assert_eq!(others(&before), others(&after), "what chance brings falls into the same series");
}

/// Of a server that passes on what it is told, such as a proxy, and of a client whose peer is hostile; under the older
/// names too.
#[actix_web::test]
async fn no_status_code_can_make_metric_series() {
    let mut http = Http::default();
    http.old_names_too = true;
    let telemetry = TestTelemetry::with_http(http);
    let server = TestServer::start(telemetry.clone(), |config| {
        let answer = async |code: web::Path<u16>| {
            HttpResponse::build(StatusCode::from_u16(*code).expect("three digits")).finish()
        };
        config.route("/{code}", web::to(answer));
    });
    let client = telemetry.client();
    for code in 200..=999 {
        let answer = client.get(server.url(&format!("/{code}"))).send().await.expect("an answer");
        assert_eq!(answer.status(), code);
    }
    eventually("all requests are told", || telemetry.spans().len() == 2 * 800).await;
    let mut of_metric = BTreeMap::<String, usize>::new();
    for (name, _) in series(&telemetry) {
        *of_metric.entry(name).or_default() += 1;
    }
    let told = of_metric.keys().filter(|name| name.contains("duration")).collect::<Vec<_>>();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(of_metric.values().all(|series| *series < 90), "{of_metric:#?}");

    let is_unknown = |(_, value): (&String, &Value)| matches!(value.as_str().as_ref(), "799" | "599" | "299");
    let all = series(&telemetry);
    assert!(all.iter().all(|(_, attributes)| !attributes.iter().any(is_unknown)), "{all:#?}");
    // A code of no class is an error, and spans say which it was.
    let told = telemetry.spans().into_iter().filter(|span| {
        let has = |key, value: Value| {
            span.attributes.iter().any(|attribute| attribute.key.as_str() == key && attribute.value == value)
        };
        has("http.response.status_code", Value::I64(799)) && has("error.type", Value::from("799"))
    });
    assert_eq!(told.count(), 2);
}

#[test]
fn nobody_who_chooses_statements_can_make_metric_series() {
    let telemetry = TestTelemetry::new();
    let mut connection = SqliteConnection::establish(":memory:").expect("memory is there");
    instrument(&mut connection, &telemetry, &Database::from_url(":memory:").expect("a URL"));
    let mut attack = |seed, count: usize| {
        let mut chance = Chance(seed);
        for _ in 0..count {
            let (table, other, literal) = (chance.word(), chance.word(), chance.next());
            let statement = chance.one_of([
                format!("SELECT {literal} -- {table}"),
                format!("SELECT '{table}' AS {other}"),
                format!("SELECT * FROM {table} JOIN {other} WHERE id = {literal}"),
                format!("CREATE TABLE {table} ({other} INTEGER)"),
                format!("INSERT INTO \"{table}\" VALUES ({literal}); DELETE FROM {other}"),
                format!("{table} {other}"),
            ]);
            // Some of it is right.
            let _ = diesel::sql_query(statement).execute(&mut connection);
        }
        series(&telemetry)
    };
    let first = attack(1, 1000);
    // Each of them may have gone well or failed in a few ways.
    assert!((100..800).contains(&first.len()), "{} series", first.len());
    let second = attack(2, 1000);
    let new: Vec<_> = second.iter().filter(|series| !first.contains(series)).collect();
    assert!(new.is_empty(), "{new:#?}");
    let rest: u64 = telemetry
        .metrics()
        .iter()
        .filter(|series| series.attributes.get("db.query.summary") == Some(&Value::from("_OTHER")))
        .map(|series| series.count)
        .sum();
    assert!(rest > 500, "{rest}");
    let texts = telemetry.spans().into_iter().filter(|span| span.name.starts_with("CREATE TABLE"));
    assert!(texts.count() > 200, "spans have their own names");
}

#[actix_web::test]
async fn a_head_is_answered_whatever_it_holds_and_costs_no_unbounded_attribute() {
    let telemetry = TestTelemetry::new();
    let server = TestServer::start(telemetry.clone(), |config| {
        config.route("/", web::to(async || "fine"));
    });
    let long = "x".repeat(20_000);
    let requests = [
        format!("GET /{long}?{long}={long} HTTP/1.1\r\nhost: {long}\r\nuser-agent: {long}\r\n"),
        format!("{} / HTTP/1.1\r\nhost: a\r\n", "M".repeat(5000)),
        format!("GET / HTTP/1.1\r\nhost: a\r\nbaggage: {}\r\n", "k=v,".repeat(5000)),
        format!("GET / HTTP/1.1\r\nhost: a\r\ntraceparent: {long}\r\ntracestate: {long}\r\n"),
        format!("GET / HTTP/1.1\r\nhost: a\r\nforwarded: {}\r\n", "for=1.2.3.4,".repeat(2000)),
    ];
    let seen = requests
        .iter()
        .filter(|request| send(&server, &format!("{request}connection: close\r\n\r\n")))
        .count();
    assert!(seen >= 4, "{seen}");
    eventually("all are told", || telemetry.spans().len() == seen).await;
    for span in telemetry.spans() {
        let all: usize = span.attributes.iter().map(|attribute| attribute.value.as_str().len()).sum();
        assert!(all < 16 * 1024 && span.attributes.len() < 32, "{all} bytes in {}", span.attributes.len());
        assert!(span.span_context.trace_state().header().len() <= 2048);
    }
}
