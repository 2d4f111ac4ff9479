//! Customers: each orders once, under a key of its own, and asks again, no sooner than it is told to, until it is told
//! what became of it.

use std::time::Duration;

use anyhow::{Context, ensure};
use demo::parts::Part;
use reqwest::StatusCode;
use reqwest::header::RETRY_AFTER;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service_kit::token::ServiceTokens;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::cancellation::CalledOff;
use crate::fleet::Fleet;
use crate::random::Random;

/// A customer that has heard nothing after so long would have given up. Longer than any outage here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The refusal of a connection that was not made, or broke.
pub const NO_ANSWER: &str = "no_answer";

/// The shop that they order in.
#[derive(Clone)]
pub struct Shop {
    users: String,
    orders: String,
    token: String,
    client: reqwest::Client,
    /// What they order.
    pub product_id: String,
    /// How much of it there is at first.
    pub stock: i64,
}

/// What a customer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The status of the answer.
    pub status: u16,
    /// The order, where the answer names one.
    pub order_id: Option<String>,
    /// The order's status, or the problem's code.
    pub word: String,
    /// Why the customer asked again, each time: a problem's code, or [`NO_ANSWER`].
    pub refusals: Vec<String>,
    /// What the customer was told who also called the order off.
    pub called_off: Option<CalledOff>,
}

impl Shop {
    /// A shop with so many pieces of one product, and a customer who is signed in.
    ///
    /// # Errors
    /// Where a service refuses.
    pub async fn open(fleet: &Fleet, stock: i64) -> anyhow::Result<Self> {
        let client = fleet.client().clone();
        let tokens = ServiceTokens::new("demo", &fleet.service_secret());
        let run = Uuid::now_v7().simple().to_string();
        let product = json!([{
            "sku": format!("chaos-{run}"), "name": "Espresso machine", "category": "kitchen",
            "price_minor": 24_900, "currency": "EUR", "stock": stock,
        }]);
        let import = client
            .post(format!("{}/internal/products/import", fleet.url(Part::Inventory)))
            .bearer_auth(tokens.issue("inventory-service", None).expose_secret())
            .json(&product);
        let imported = answer(import).await.context("importing the product")?;
        let product_id = text(&imported["product_ids"][0])?;
        let users = format!("{}/api/users", fleet.url(Part::User));
        let token = sign_up(&client, &users).await?;
        let orders = format!("{}/api/orders", fleet.url(Part::Order));
        Ok(Self { users, orders, token, client, product_id, stock })
    }

    /// The same shop, for a customer with an account of its own.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn for_another(&self) -> anyhow::Result<Self> {
        let token = sign_up(&self.client, &self.users).await?;
        Ok(Self { token, ..self.clone() })
    }

    /// Orders one piece, and asks again under the same key for as long as the answer does not tell what became of the
    /// order: it got lost, or the service could not even write it down.
    ///
    /// # Errors
    /// Where nothing was told in time.
    pub async fn order(&self, payment_method: &str) -> anyhow::Result<Told> {
        let key = Uuid::now_v7().to_string();
        let order = json!({
            "product_id": self.product_id, "quantity": 1, "payment_method": payment_method,
        });
        let give_up = Instant::now() + PATIENCE;
        let mut refusals = Vec::new();
        loop {
            let request = self.post("").json(&order).header("idempotency-key", format!("\"{key}\""));
            let (answer, wait) = self.ask(request).await;
            let mut refusal = NO_ANSWER.to_owned();
            if let Some((status, body)) = answer {
                let told = told(status, &body);
                if told.order_id.is_some() {
                    return Ok(Told { refusals, ..told });
                }
                ensure!(may_be_asked_again(status, &told.word), "{status}: {body}");
                refusal = told.word;
            }
            refusals.push(refusal);
            ensure!(Instant::now() < give_up, "nothing was told in time: {refusals:?}");
            // All of them at once would not help a service that is just starting.
            let wait = wait.max(Duration::from_millis(200));
            sleep(wait + Duration::from_millis(u64::from(key.as_bytes()[35]) * 5)).await;
        }
    }

    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.orders)).bearer_auth(&self.token)
    }

    pub(crate) fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.orders)).bearer_auth(&self.token)
    }

    /// The answer, where one came whole, and for how long the service wants to be left alone.
    pub(crate) async fn ask(
        &self,
        request: reqwest::RequestBuilder,
    ) -> (Option<(StatusCode, Value)>, Duration) {
        let Ok(response) = request.send().await else { return (None, Duration::ZERO) };
        let (status, wait) = (response.status(), retry_after(&response));
        (response.json().await.ok().map(|body| (status, body)), wait)
    }
}

/// A new account's token.
async fn sign_up(client: &reqwest::Client, users: &str) -> anyhow::Result<String> {
    let name = Uuid::now_v7().simple();
    let who = json!({ "email": format!("{name}@example.org"), "password": "a password of some length" });
    let mut account = who.clone();
    account["name"] = "Ada".into();
    answer(client.post(format!("{users}/register")).json(&account)).await.context("registering")?;
    let login = answer(client.post(format!("{users}/login")).json(&who)).await.context("signing in")?;
    text(&login["access_token"])
}

/// How long the service wants to be left alone.
fn retry_after(response: &reqwest::Response) -> Duration {
    let seconds = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

fn told(status: StatusCode, body: &Value) -> Told {
    let word = if status.is_success() { &body["status"] } else { &body["code"] };
    let order_id = body["order_id"].as_str().map(str::to_owned);
    Told {
        status: status.as_u16(),
        order_id,
        word: word.as_str().unwrap_or_default().to_owned(),
        refusals: Vec::new(),
        called_off: None,
    }
}

/// A refusal for now: no order was made.
pub(crate) fn may_be_asked_again(status: StatusCode, code: &str) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || code == "idempotency_key_in_use"
}

/// How a customer pays: most well, the others so that the gateway declines, hangs or fails.
pub fn payment_method(random: &mut Random) -> &'static str {
    match random.below(20) {
        0..=15 => "card_ok",
        16..=17 => "card_declined",
        18 => "card_slow",
        _ => "gateway_error",
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    ensure!(status.is_success(), "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn text(value: &Value) -> anyhow::Result<String> {
    Ok(value.as_str().context("a text")?.to_owned())
}
