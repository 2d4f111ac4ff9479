//! An order service with its peers.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use inventory_service::InventoryService;
use order_service::OrderService;
use payment_service::PaymentService;
use payment_service::gateway::{Gateway, GatewayConfig};
use serde_json::{Value, json};
use service_kit::testing::{Answer, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use user_service::UserService;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The four services, the gateway, a product and a user.
pub(crate) struct House {
    pub(crate) order: TestApp,
    pub(crate) inventory: TestApp,
    pub(crate) payment: TestApp,
    pub(crate) product_id: String,
    pub(crate) token: String,
    user: TestApp,
    gateway: ServerHandle,
}

impl Drop for House {
    fn drop(&mut self) {
        drop(self.gateway.stop(false));
    }
}

/// A house with this many pieces in stock, where nobody waits for a slow card.
pub(crate) async fn spawn_house(stock: i64) -> House {
    spawn_house_with(stock, Duration::from_secs(2), "300").await
}

/// A house where a slow card takes this long, and is waited for so many milliseconds.
pub(crate) async fn spawn_house_with(stock: i64, slow: Duration, gateway_timeout_ms: &str) -> House {
    let gateway = Gateway::bind(GatewayConfig { port: 0, slow, ..GatewayConfig::default() })
        .expect("the gateway starts");
    let gateway_url = format!("http://{}", gateway.address());
    let handle = gateway.handle();
    telemetry_core::context::spawn_local(gateway.run());

    let user = TestApp::spawn::<UserService>([]).await;
    let inventory = TestApp::spawn::<InventoryService>([]).await;
    let payment = TestApp::spawn::<PaymentService>([
        ("GATEWAY_URL", gateway_url.as_str()),
        ("GATEWAY_TIMEOUT_MS", gateway_timeout_ms),
    ])
    .await;
    let order = spawn_order(&url(&user), &url(&inventory), &url(&payment)).await;
    let token = register(&user, "ada@example.org").await;
    let product = json!([{
        "sku": "espresso", "name": "Espresso machine", "category": "kitchen",
        "price_minor": 24_900, "currency": "EUR", "stock": stock,
    }]);
    let imported = inventory.post("/internal/products/import", &product).from_service().send().await;
    let product_id = imported.json(201)["product_ids"][0].as_str().expect("one product").to_owned();
    House { order, inventory, payment, product_id, token, user, gateway: handle }
}

/// An order service with peers at these addresses.
pub(crate) async fn spawn_order(user: &str, inventory: &str, payment: &str) -> TestApp {
    spawn_order_with(user, inventory, payment, &[]).await
}

/// The same with more variables.
pub(crate) async fn spawn_order_with(
    user: &str,
    inventory: &str,
    payment: &str,
    variables: &[(&str, &str)],
) -> TestApp {
    let peers = [("USER_URL", user), ("INVENTORY_URL", inventory), ("PAYMENT_URL", payment)];
    TestApp::spawn::<OrderService>(peers.into_iter().chain(variables.iter().copied())).await
}

pub(crate) fn url(app: &TestApp) -> String {
    format!("http://{}", app.address())
}

/// An address where nobody listens.
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    format!("http://{}", listener.local_addr().expect("its address"))
}

/// Registers a user and answers their access token.
pub(crate) async fn register(user: &TestApp, email: &str) -> String {
    let password = "a password of some length";
    let account = json!({ "email": email, "password": password, "name": "Ada" });
    user.post("/api/users/register", &account).send().await.json(201);
    let login = user.post("/api/users/login", &json!({ "email": email, "password": password })).send().await;
    login.json(200)["access_token"].as_str().expect("a token").to_owned()
}

impl House {
    /// The payment of this order.
    pub(crate) async fn payment_of(&self, order_id: &Value) -> Value {
        let path = format!("/internal/payments/{}", order_id.as_str().expect("an id"));
        self.payment.get(&path).from_service().send().await.json(200)
    }

    /// The pieces that are neither sold nor reserved.
    pub(crate) async fn available(&self) -> i64 {
        let path = format!("/api/products/{}", self.product_id);
        self.inventory.get(&path).send().await.json(200)["available"].as_i64().expect("a number")
    }

    /// Where the user service is.
    pub(crate) fn user_url(&self) -> String {
        url(&self.user)
    }

    /// Another user's access token.
    pub(crate) async fn another_user(&self) -> String {
        register(&self.user, "bob@example.org").await
    }

    /// Orders pieces of the product.
    pub(crate) async fn place(&self, quantity: i64, payment_method: &str) -> Answer {
        self.place_at(&self.order, quantity, payment_method).await
    }

    /// Orders at another order service with the same user.
    pub(crate) async fn place_at(&self, order: &TestApp, quantity: i64, payment_method: &str) -> Answer {
        let request = json!({
            "product_id": self.product_id, "quantity": quantity, "payment_method": payment_method,
        });
        order.post("/api/orders", &request).from_user(&self.token).send().await
    }

    /// One of the user's orders.
    pub(crate) async fn find(&self, order_id: &Value) -> Value {
        let path = format!("/api/orders/{}", order_id.as_str().expect("an id"));
        self.order.get(&path).from_user(&self.token).send().await.json(200)
    }
}

/// What a proxy in front of the inventory does with the connections after the first; later ones pass.
#[derive(Clone, Copy)]
pub(crate) enum AfterTheFirst {
    /// All are cut.
    CutAll,
    /// The next three are cut: one call with all of its tries.
    CutThree,
    /// The next request is told that the reservation is gone.
    RefuseOnce,
}

/// The address of a proxy in front of the house's inventory. Each connection carries one request.
pub(crate) async fn inventory_behind(house: &House, then: AfterTheFirst) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let inventory = house.inventory.address();
    telemetry_core::context::spawn_local(async move {
        let mut number = 0;
        while let Ok((mut caller, _)) = listener.accept().await {
            number += 1;
            let mut buffer = vec![0; 64 * 1024];
            match (number, then) {
                (2.., AfterTheFirst::CutAll) | (2..=4, AfterTheFirst::CutThree) => {}
                (2, AfterTheFirst::RefuseOnce) => {
                    let _ = caller.read(&mut buffer).await;
                    let _ = caller.write_all(RESERVATION_GONE.as_bytes()).await;
                }
                _ => {
                    let mut service = tokio::net::TcpStream::connect(inventory).await.expect("it is there");
                    let read = caller.read(&mut buffer).await.expect("a request");
                    service.write_all(&buffer[..read]).await.expect("the inventory reads");
                    let read = service.read(&mut buffer).await.expect("an answer");
                    let _ = caller.write_all(&buffer[..read]).await;
                }
            }
        }
    });
    format!("http://{address}")
}

const RESERVATION_GONE: &str = "HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\n\
    connection: close\r\ncontent-length: 41\r\n\r\n{\"status\":409,\"code\":\"reservation_state\"}";

/// Waits until `happened` says so.
pub(crate) async fn wait_until(what: &str, happened: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !happened().await {
        assert!(start.elapsed() < PATIENCE, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
