//! A payment service with a gateway behind it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use diesel::connection::SimpleConnection as _;
use payment_service::PaymentService;
use payment_service::gateway::{Gateway, GatewayConfig};
use reqwest::Method;
use reqwest_middleware::ClientWithMiddleware;
use serde_json::{Value, json};
use service_kit::db::Connection;
use service_kit::deadline;
use service_kit::testing::{Answer, TestApp};
use telemetry_core::testing::TestTelemetry;
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The service and its gateway.
pub(crate) struct House {
    pub(crate) app: TestApp,
    pub(crate) gateway: RunningGateway,
}

/// A gateway whose `card_slow` is slower than any test waits.
pub(crate) async fn spawn_house() -> House {
    spawn_house_with(Duration::from_secs(600), "5000").await
}

/// The gateway takes `slow` for `card_slow`, the service waits `timeout_ms` for the gateway.
pub(crate) async fn spawn_house_with(slow: Duration, timeout_ms: &str) -> House {
    let gateway = RunningGateway::start(0, slow);
    let app = spawn_app(&gateway.url(), timeout_ms).await;
    House { app, gateway }
}

pub(crate) async fn spawn_app(gateway_url: &str, timeout_ms: &str) -> TestApp {
    TestApp::spawn::<PaymentService>([("GATEWAY_URL", gateway_url), ("GATEWAY_TIMEOUT_MS", timeout_ms)]).await
}

/// What is sent to charge an order 19.99 €.
pub(crate) fn charge_request(order_id: Uuid, payment_method: &str) -> Value {
    json!({ "order_id": order_id, "amount_minor": 1999, "currency": "EUR", "payment_method": payment_method })
}

pub(crate) async fn charge(app: &TestApp, order_id: Uuid, payment_method: &str) -> Answer {
    app.post("/internal/payments", &charge_request(order_id, payment_method)).from_service().send().await
}

/// Asks for a charge that cannot be written down before its caller's deadline ends; it can be from then on.
pub(crate) async fn charge_too_late(app: &TestApp, order_id: Uuid) {
    let mut other = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    let lock = match other {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
        Connection::Postgres(_) => "BEGIN; LOCK TABLE payments IN EXCLUSIVE MODE",
    };
    other.batch_execute(lock).expect("it is locked");
    let request = app.post("/internal/payments", &charge_request(order_id, "card_ok")).from_service();
    // Long enough to come to the lock on a busy machine, and shorter than SQLite waits for it.
    let late = request.with(|request| request.header(deadline::HEADER, "2000")).send().await;
    late.assert_problem(504, "deadline_exceeded");
    other.batch_execute("COMMIT").expect("it is free again");
}

pub(crate) async fn find(app: &TestApp, order_id: Uuid) -> Value {
    app.get(&format!("/internal/payments/{order_id}")).from_service().send().await.json(200)
}

/// Without a body, as the order service asks for it.
pub(crate) async fn refund(app: &TestApp, order_id: Uuid) -> Answer {
    let path = format!("/internal/payments/{order_id}/refund");
    app.request(Method::POST, &path).from_service().send().await
}

/// The order's payment, once it has this status.
pub(crate) async fn wait_for_status(app: &TestApp, order_id: Uuid, status: &str) -> Value {
    let start = Instant::now();
    loop {
        let payment = find(app, order_id).await;
        if payment["status"] == status {
            return payment;
        }
        assert!(start.elapsed() < PATIENCE, "not {status}: {payment}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until `happened` says so.
pub(crate) async fn wait_until(what: &str, happened: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !happened().await {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A gateway on a port of its own, and what a test asks it directly.
pub(crate) struct RunningGateway {
    address: SocketAddr,
    handle: ServerHandle,
    client: ClientWithMiddleware,
}

impl RunningGateway {
    pub(crate) fn start(port: u16, slow: Duration) -> Self {
        let config = GatewayConfig { port, slow, ..GatewayConfig::default() };
        let gateway = Gateway::bind(config).expect("the gateway binds its port");
        let (address, handle) = (gateway.address(), gateway.handle());
        telemetry_core::context::spawn_local(gateway.run());
        Self { address, handle, client: TestTelemetry::new().client() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) async fn stop(&self) {
        self.handle.stop(true).await;
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.url())).json(body);
        let response = request.send().await.expect("the gateway answers");
        (response.status().as_u16(), response.json().await.expect("the gateway answers with JSON"))
    }

    /// What the gateway has in its books for this order; `unknown` for nothing.
    pub(crate) async fn status_of(&self, order_id: Uuid) -> String {
        let request = self.client.get(format!("{}/charges/{order_id}", self.url()));
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["status"].as_str().or(answer["reason"].as_str()).unwrap().to_owned()
    }
}
