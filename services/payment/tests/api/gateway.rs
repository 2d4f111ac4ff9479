//! The stand-in gateway by itself.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::RunningGateway;

fn charge(reference: Uuid, payment_method: &str) -> Value {
    json!({ "reference": reference, "amount_minor": 1999, "currency": "EUR", "payment_method": payment_method })
}

fn refused(reason: &str) -> Value {
    json!({ "reason": reason })
}

#[actix_web::test]
async fn the_method_decides_the_answer_and_asking_again_gives_the_same() {
    let gateway = RunningGateway::start(0, Duration::from_millis(10));
    for (method, status, reason) in [
        ("card_declined", 402, "insufficient_funds"),
        ("gateway_error", 500, "internal"),
        ("4111111111111111", 422, "unknown_payment_method"),
    ] {
        let reference = Uuid::now_v7();
        for _ in 0..2 {
            let answer = gateway.post("/charges", &charge(reference, method)).await;
            assert_eq!(answer, (status, refused(reason)), "{method}");
        }
    }
    for method in ["card_ok", "card_slow"] {
        let reference = Uuid::now_v7();
        let (status, first) = gateway.post("/charges", &charge(reference, method)).await;
        assert_eq!((status, first["status"].as_str()), (201, Some("captured")), "{method}");
        assert_eq!(gateway.post("/charges", &charge(reference, method)).await, (201, first), "{method}");
    }
}

#[actix_web::test]
async fn a_voided_reference_is_never_charged_also_when_the_void_came_first() {
    let gateway = RunningGateway::start(0, Duration::ZERO);
    let reference = Uuid::now_v7();
    for _ in 0..2 {
        let answer = gateway.post(&format!("/charges/{reference}/void"), &json!({})).await;
        assert_eq!(answer, (200, json!({ "status": "voided" })));
    }
    assert_eq!(gateway.post("/charges", &charge(reference, "card_ok")).await, (409, refused("voided")));
}

#[actix_web::test]
async fn a_transaction_is_refunded_once() {
    let gateway = RunningGateway::start(0, Duration::ZERO);
    let reference = Uuid::now_v7();
    let (_, captured) = gateway.post("/charges", &charge(reference, "card_ok")).await;
    let refund =
        |amount: i64| json!({ "transaction_id": captured["transaction_id"], "amount_minor": amount });
    let refunded = json!({ "transaction_id": captured["transaction_id"], "status": "refunded" });
    assert_eq!(gateway.post("/refunds", &refund(2000)).await, (422, refused("invalid_amount")));
    assert_eq!(gateway.post("/refunds", &refund(1999)).await, (201, refunded.clone()));
    assert_eq!(gateway.post("/refunds", &refund(1999)).await, (201, refunded));
    assert_eq!(gateway.post("/refunds", &refund(1)).await, (409, refused("conflict")));
    assert_eq!(gateway.status_of(reference).await, "refunded");
    let unknown = json!({ "transaction_id": "txn_unknown", "amount_minor": 1 });
    assert_eq!(gateway.post("/refunds", &unknown).await, (404, refused("unknown")));
}

#[actix_web::test]
async fn what_is_no_charge_is_refused() {
    let gateway = RunningGateway::start(0, Duration::ZERO);
    for (member, wrong, status, reason) in [
        ("amount_minor", json!(0), 422, "invalid_amount"),
        ("currency", json!("EURO"), 422, "invalid_currency"),
        ("reference", json!(""), 422, "invalid_reference"),
        ("reference", json!("x".repeat(129)), 422, "invalid_reference"),
        ("reference", json!(1), 400, "malformed_request"),
        ("reference", json!("x".repeat(5000)), 400, "malformed_request"),
    ] {
        let mut request = charge(Uuid::now_v7(), "card_ok");
        request[member] = wrong;
        assert_eq!(gateway.post("/charges", &request).await, (status, refused(reason)), "{member}");
    }
}

#[test]
fn the_gateways_process_says_where_it_listens_and_ends_when_asked() {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_payment-gateway"))
        .env_clear()
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ended = Command::new("kill").args(["-TERM", &gateway.id().to_string()]).status();
    assert!(ended.expect("there is a kill").success());
    assert_eq!(gateway.wait().unwrap().code(), Some(0));
    let port = line.trim().strip_prefix("payment-gateway: listening on http://127.0.0.1:");
    assert!(port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0)), "{line}");
}

#[test]
fn the_gateways_healthcheck_tells_whether_it_answers() {
    let check = |port: &str| {
        let mut check = Command::new(env!("CARGO_BIN_EXE_payment-gateway"));
        check.arg("healthcheck").env_clear().envs([("HOST", "0.0.0.0"), ("PORT", port)]);
        check.output().expect("the binary runs").status.code()
    };
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    assert_eq!(check(&nobody), Some(1));

    let mut gateway = Command::new(env!("CARGO_BIN_EXE_payment-gateway"))
        .env_clear()
        .env("PORT", "0")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut line = String::new();
    BufReader::new(gateway.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let answers = check(line.trim().rsplit(':').next().unwrap());
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    assert_eq!(answers, Some(0));

    let other = Command::new(env!("CARGO_BIN_EXE_payment-gateway")).arg("halthcheck").env_clear().output();
    assert_eq!(other.expect("the binary runs").status.code(), Some(2));
}

#[test]
fn every_mistake_of_the_gateways_configuration_is_told_in_one_message() {
    let output = Command::new(env!("CARGO_BIN_EXE_payment-gateway"))
        .env_clear()
        .envs([("PORT", "http"), ("GATEWAY_SLOW_MS", "slow")])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "payment-gateway: the configuration has 2 mistakes\n  \
         GATEWAY_SLOW_MS=slow: expected milliseconds, 0 to 600000\n  \
         PORT=http: expected a port, 0 to 65535\n"
    );
}

#[test]
fn a_gateway_whose_port_is_taken_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_payment-gateway"))
        .env_clear()
        .env("PORT", taken.local_addr().unwrap().port().to_string())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("payment-gateway: Address already in use"), "{message}");
}
