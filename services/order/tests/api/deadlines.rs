//! Nobody is charged whose deadline ended before the charge.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use service_kit::deadline;
use service_kit::testing::{Answer, TestApp};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::harness::{House, spawn_house, spawn_house_with, spawn_order_with, url, wait_until};

/// Long enough to come to the call that is held up, on a busy machine too.
const BUDGET_MS: &str = "4000";

/// The address of a proxy that holds the first connection up until it is told to go on.
async fn late(service: SocketAddr, go_on: oneshot::Receiver<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    telemetry_core::context::spawn_local(async move {
        let mut go_on = Some(go_on);
        while let Ok((mut caller, _)) = listener.accept().await {
            let go_on = go_on.take();
            telemetry_core::context::spawn_local(async move {
                if let Some(go_on) = go_on {
                    let _ = go_on.await;
                }
                let mut service = TcpStream::connect(service).await.expect("it is there");
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut service).await;
            });
        }
    });
    format!("http://{address}")
}

async fn place(app: &TestApp, house: &House, method: &str, milliseconds: &str) -> Answer {
    let order = json!({ "product_id": house.product_id, "quantity": 1, "payment_method": method });
    let request = app.post("/api/orders", &order).from_user(&house.token);
    request.with(|request| request.header(deadline::HEADER, milliseconds)).send().await
}

/// The only order, once it has failed.
async fn failed(app: &TestApp, house: &House) -> Value {
    let list = async || app.get("/api/orders").from_user(&house.token).send().await.json(200);
    wait_until("the end", async || list().await[0]["status"] == "failed").await;
    list().await[0].clone()
}

#[actix_web::test]
async fn nobody_is_charged_whose_deadline_ended_while_the_goods_were_reserved() {
    let house = spawn_house(2).await;
    let (told, go_on) = oneshot::channel();
    let inventory = late(house.inventory.address(), go_on).await;
    let payment = url(&house.payment);
    let variables = [("INVENTORY_TIMEOUT_MS", "60000")];
    let order = spawn_order_with(&house.user_url(), &inventory, &payment, &variables).await;
    place(&order, &house, "card_ok", BUDGET_MS).await.assert_problem(504, "deadline_exceeded");
    told.send(()).expect("the proxy waits for it");
    let order_of = failed(&order, &house).await;
    assert_eq!(order_of["failure_code"], "deadline_exceeded");
    let path = format!("/internal/payments/{}", order_of["order_id"].as_str().unwrap());
    let payment = house.payment.get(&path).from_service().send().await;
    payment.assert_problem(404, "payment_not_found");
    assert_eq!(house.available().await, 2, "the goods are there again");
    // Who waits is served.
    place(&order, &house, "card_ok", "30000").await.json(201);
}

#[actix_web::test]
async fn a_charge_that_takes_longer_than_its_customer_waits_is_undone() {
    let house = spawn_house_with(1, Duration::from_secs(600), "60000").await;
    place(&house.order, &house, "card_slow", BUDGET_MS).await.assert_problem(504, "deadline_exceeded");
    let order = failed(&house.order, &house).await;
    assert_eq!(order["failure_code"], "deadline_exceeded", "the payment service was well");
    assert_eq!(house.payment_of(&order["order_id"]).await["status"], "voided");
    assert_eq!(house.available().await, 1);
}
