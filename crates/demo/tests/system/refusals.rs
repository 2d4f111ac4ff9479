//! Bad input gets a clear answer: a problem document with code and trace id, never a 500, never an
//! empty 400. A bad variable stops the start with one message that names every mistake.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use demo::parts::Part;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Backend, run, shared};

const SERVICES: [Part; 4] = [Part::User, Part::Inventory, Part::Payment, Part::Order];

async fn assert_refused(request: RequestBuilder, status: u16, code: &str) {
    let what = format!("{request:?}");
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status().as_u16(), status, "{what}");
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{what}");
    let trace = response.headers()["traceresponse"].to_str().unwrap().split('-').nth(1).unwrap().to_owned();
    let problem: Value = response.json().await.expect("a JSON document");
    assert_eq!(problem["code"], code, "{what}: {problem}");
    assert_eq!(problem["status"], status, "{what}: {problem}");
    assert_eq!(problem["trace_id"], trace, "{what}: {problem}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{what}: {problem}");
}

#[test]
fn unknown_paths_and_methods_get_problem_documents_from_every_service() {
    run(async {
        let test = shared(Backend::Sqlite).await;
        for part in SERVICES {
            let url = test.system.url(part);
            let client = test.system.client();
            assert_refused(client.get(format!("{url}/nowhere")), 404, "unknown_path").await;
            assert_refused(client.get(format!("{url}/%ff/%00")), 404, "unknown_path").await;
            let brew = Method::from_bytes(b"BREW").unwrap();
            for method in [Method::PUT, brew] {
                // Those that no trace is made of are answered no worse.
                for path in ["/", "/health", "/ready", "/metrics"] {
                    let request = client.request(method.clone(), format!("{url}{path}"));
                    assert_refused(request, 405, "method_not_allowed").await;
                }
            }
        }
    });
}

#[test]
fn bodies_that_are_no_order_get_problem_documents() {
    run(async {
        let test = shared(Backend::Sqlite).await;
        let url = format!("{}/api/orders", test.system.url(Part::Order));
        let post = || test.system.client().post(&url).bearer_auth(test.shop.access_token());
        let json = |body: &str| post().header(CONTENT_TYPE, "application/json").body(body.to_owned());
        for body in ["", "{", "[]", "null", "{\"product_id\":1}", "\u{0}", "{\"quantity\":1e400}"] {
            assert_refused(json(body), 400, "invalid_json").await;
        }
        let unknown_field = r#"{"product_id":"x","quantity":1,"payment_method":"card_ok","price":0}"#;
        assert_refused(json(unknown_field), 400, "invalid_json").await;
        assert_refused(post().body("product_id=1"), 415, "unsupported_media_type").await;
        let broken_rules =
            r#"{"product_id":"x","quantity":0,"payment_method":"4111111111111111","order_type":"fast"}"#;
        assert_refused(json(broken_rules), 422, "validation_failed").await;
        let huge = format!("{{\"product_id\":\"{}\"}}", "x".repeat(1 << 20));
        assert_refused(json(&huge), 413, "body_too_large").await;
        let lie = promise(&url, test.shop.access_token(), 1_000_000_000).await;
        assert!(lie.starts_with("HTTP/1.1 413 "), "{lie}");
        assert!(lie.contains(r#""code":"body_too_large""#) && lie.contains(r#""trace_id":""#), "{lie}");
        let unknown_product = r#"{"product_id":"00000000-0000-7000-8000-000000000000","quantity":1,"payment_method":"card_ok"}"#;
        assert_refused(json(unknown_product), 404, "product_not_found").await;
        let orders = |path: &str| {
            test.system.client().get(format!("{url}{path}")).bearer_auth(test.shop.access_token())
        };
        assert_refused(orders("/not-an-id"), 404, "order_not_found").await;
        assert_refused(orders("?limit=0"), 422, "validation_failed").await;
        assert_refused(orders("?limit=x"), 400, "invalid_query").await;
        assert_refused(test.system.client().get(&url), 401, "missing_token").await;
    });
}

/// The answer to a POST that promises a body of so many bytes and never sends it.
async fn promise(url: &str, token: &str, length: u64) -> String {
    let url = reqwest::Url::parse(url).expect("a URL");
    let mut connection =
        TcpStream::connect(&*url.socket_addrs(|| None).unwrap()).await.expect("a connection");
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{{",
        url.path()
    );
    connection.write_all(request.as_bytes()).await.expect("the head is taken");
    let mut answer = Vec::new();
    let read = async {
        while !answer.ends_with(b"}") && connection.read_buf(&mut answer).await.expect("an answer") > 0 {}
    };
    timeout(Duration::from_secs(10), read).await.expect("an answer in time");
    String::from_utf8(answer).expect("text")
}

fn start(part: Part, variables: &[(&str, &str)]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["process", part.name(), "serve"])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the process starts");
    // It ends when its standard input does.
    let _input = child.stdin.take();
    child.wait_with_output().expect("the process ends")
}

#[test]
fn bad_variables_stop_the_start_with_one_message_that_names_each() {
    let variables = [
        ("PORT", "abc"),
        ("DATABASE_URL", "mysql://app:hunter2@localhost/orders"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
    ];
    for part in SERVICES {
        let output = start(part, &variables);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        for named in [
            "PORT=abc",
            "DATABASE_URL",
            "sqlite://",
            "OTEL_EXPORTER_OTLP_PROTOCOL=carrier-pigeon",
            "http/protobuf",
            "OTEL_BSP_MAX_QUEUE_SIZE=-1",
        ] {
            assert!(message.contains(named), "{named} is not in:\n{message}");
        }
        assert!(!message.contains("hunter2"), "a password is in:\n{message}");
        assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    }
}

#[test]
fn outside_development_secrets_are_asked_for() {
    let output = start(Part::User, &[("ENVIRONMENT", "production"), ("JWT_SECRET", "short")]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("SERVICE_TOKEN_SECRET") && message.contains("JWT_SECRET"), "{message}");
}
