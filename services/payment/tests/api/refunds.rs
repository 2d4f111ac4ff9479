//! Once a refund has been confirmed nothing is charged, whatever was known of the payment.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::json;
use service_kit::testing::Answer;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::harness::{
    House, PATIENCE, RunningGateway, charge, find, refund, spawn_app, spawn_house, spawn_house_with,
    wait_for_status, wait_until,
};
use crate::scripted::{ScriptedGateway, json_answer};

#[actix_web::test]
async fn a_captured_payment_goes_back_once() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    let captured = charge(&house.app, order_id, "card_ok").await.json(201);
    let first = refund(&house.app, order_id).await.json(200);
    let payment_id = &captured["payment_id"];
    assert_eq!(first, json!({ "payment_id": payment_id, "order_id": order_id, "status": "refunded" }));
    assert_eq!(house.gateway.status_of(order_id).await, "refunded");

    house.gateway.stop().await;
    assert_eq!(refund(&house.app, order_id).await.json(200), first);
    let payment = find(&house.app, order_id).await;
    assert_eq!(payment["status"], "refunded");
    assert_eq!(payment["transaction_id"], captured["transaction_id"]);
    charge(&house.app, order_id, "card_ok").await.assert_problem(409, "payment_refunded");
}

#[actix_web::test]
async fn where_nothing_is_charged_there_is_nothing_to_do() {
    let house = spawn_house().await;
    let mut orders = Vec::new();
    for (method, status) in [("card_declined", "declined"), ("gateway_error", "voided")] {
        let order_id = Uuid::now_v7();
        charge(&house.app, order_id, method).await;
        orders.push((order_id, wait_for_status(&house.app, order_id, status).await));
    }
    house.gateway.stop().await;
    for (order_id, payment) in orders {
        for _ in 0..2 {
            assert_eq!(refund(&house.app, order_id).await.json(200)["status"], payment["status"]);
        }
        assert_eq!(find(&house.app, order_id).await, payment);
    }
}

#[actix_web::test]
async fn a_charge_that_comes_after_the_refund_is_refused_before_the_gateway_is_asked() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    for _ in 0..2 {
        let answer = refund(&house.app, order_id).await.json(200);
        assert_eq!(answer, json!({ "order_id": order_id, "status": "cancelled" }));
    }
    for method in ["card_ok", "card_declined"] {
        charge(&house.app, order_id, method).await.assert_problem(409, "payment_cancelled");
    }
    assert_eq!(house.gateway.status_of(order_id).await, "unknown");

    let record = find(&house.app, order_id).await;
    let expected = json!({
        "payment_id": null,
        "order_id": order_id,
        "user_id": null,
        "amount_minor": null,
        "currency": null,
        "payment_method": null,
        "status": "cancelled",
        "transaction_id": null,
        "failure_code": null,
        "created_at": record["created_at"],
        "updated_at": record["created_at"],
    });
    assert_eq!(record, expected);
}

#[actix_web::test]
async fn a_charge_that_is_being_made_is_voided_and_its_own_answer_comes_too_late() {
    let house = spawn_house_with(Duration::from_secs(600), "60000").await;
    let order_id = Uuid::now_v7();
    let refunding = async {
        wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
        let answer = refund(&house.app, order_id).await.json(200);
        let at_gateway = house.gateway.status_of(order_id).await;
        // Cuts the charge off.
        house.gateway.stop().await;
        (answer, at_gateway)
    };
    let (charged, (refunded, at_gateway)) =
        tokio::join!(charge(&house.app, order_id, "card_slow"), refunding);
    assert_eq!((refunded["status"].as_str(), at_gateway.as_str()), (Some("voided"), "voided"));
    charged.assert_problem(409, "payment_cancelled");
    charge(&house.app, order_id, "card_slow").await.assert_problem(409, "payment_cancelled");
    let payment = find(&house.app, order_id).await;
    assert_eq!(
        (payment["status"].as_str(), payment["failure_code"].as_str()),
        (Some("voided"), Some("payment_cancelled"))
    );
}

#[actix_web::test]
async fn a_charge_of_unknown_outcome_is_confirmed_once_the_gateway_has_voided_it() {
    let house = spawn_house_with(Duration::from_secs(600), "60000").await;
    let order_id = Uuid::now_v7();
    let port = house.gateway.url().rsplit_once(':').unwrap().1.parse().unwrap();
    let stopping = async {
        wait_until("the charge", async || house.gateway.status_of(order_id).await == "pending").await;
        house.gateway.stop().await;
    };
    let (charged, ()) = tokio::join!(charge(&house.app, order_id, "card_slow"), stopping);
    charged.assert_problem(502, "gateway_error");
    let answer = refund(&house.app, order_id).await;
    answer.assert_problem(503, "gateway_unavailable");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(find(&house.app, order_id).await["status"], "failed");

    let gateway = RunningGateway::start(port, Duration::ZERO);
    assert_eq!(refund(&house.app, order_id).await.json(200)["status"], "voided");
    assert_eq!(gateway.status_of(order_id).await, "voided");
}

#[actix_web::test]
async fn a_charge_that_never_reached_the_gateway_is_not_tried_again() {
    // A port where nobody listens, until the gateway comes.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = spawn_app(&format!("http://127.0.0.1:{port}"), "5000").await;
    let order_id = Uuid::now_v7();
    charge(&app, order_id, "card_ok").await.assert_problem(503, "gateway_unavailable");
    assert_eq!(refund(&app, order_id).await.json(200)["status"], "voided");

    let gateway = RunningGateway::start(port, Duration::ZERO);
    charge(&app, order_id, "card_ok").await.assert_problem(409, "payment_cancelled");
    assert_eq!(gateway.status_of(order_id).await, "unknown");
}

#[actix_web::test]
async fn a_refund_that_the_gateway_does_not_confirm_is_not_written_down() {
    let house = spawn_house().await;
    let order_id = Uuid::now_v7();
    charge(&house.app, order_id, "card_ok").await.json(201);
    house.gateway.stop().await;
    refund(&house.app, order_id).await.assert_problem(503, "gateway_unavailable");
    assert_eq!(find(&house.app, order_id).await["status"], "captured");

    // This one captures, and takes a refund for another capture.
    let body = r#"{"transaction_id":"txn_1","status":"captured"}"#;
    let gateway = ScriptedGateway::start(json_answer("201 Created", body)).await;
    let app = spawn_app(&gateway.url(), "5000").await;
    charge(&app, order_id, "card_ok").await.json(201);
    refund(&app, order_id).await.assert_problem(502, "gateway_error");
    assert_eq!(find(&app, order_id).await["status"], "captured");
}

#[actix_web::test]
async fn a_charge_and_its_refund_at_once_leave_nothing_charged() {
    let house = spawn_house().await;
    let start = Instant::now();
    let mut endings = BTreeSet::new();
    // The head start changes from order to order, so that each meets the other at every point; again,
    // until the refund has come before, during and after the charge.
    while !["cancelled", "voided", "refunded"].iter().all(|ending| endings.contains(*ending)) {
        assert!(start.elapsed() < PATIENCE, "only {endings:?}");
        for step in 0..40 {
            let head_start = Duration::from_micros(200) * step;
            endings.insert(charge_and_refund(&house, Duration::ZERO, head_start).await);
            endings.insert(charge_and_refund(&house, head_start, Duration::ZERO).await);
        }
    }
}

/// Charges an order after one wait, and twice refunds it after the other. The status that it ends with.
async fn charge_and_refund(house: &House, before_charge: Duration, before_refund: Duration) -> String {
    let order_id = Uuid::now_v7();
    let charging = async {
        sleep(before_charge).await;
        charge(&house.app, order_id, "card_ok").await
    };
    let refunding = async || -> Answer {
        sleep(before_refund).await;
        refund(&house.app, order_id).await
    };
    let (charged, first, second) = tokio::join!(charging, refunding(), refunding());
    let status = first.json(200)["status"].as_str().unwrap().to_owned();
    assert_eq!(second.json(200)["status"], status);
    assert_eq!(find(&house.app, order_id).await["status"], status);
    let at_gateway = match status.as_str() {
        "refunded" => {
            charged.json(201);
            "refunded"
        }
        "voided" => {
            charged.assert_problem(409, "payment_cancelled");
            "voided"
        }
        "cancelled" => {
            charged.assert_problem(409, "payment_cancelled");
            "unknown"
        }
        other => panic!("still {other}"),
    };
    assert_eq!(house.gateway.status_of(order_id).await, at_gateway, "{status}");
    assert_eq!(charge(&house.app, order_id, "card_ok").await.status, 409);
    status
}
