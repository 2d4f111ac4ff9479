//! A shop to order in: tenants, users and products, made through the services' own API.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service_kit::token::ServiceTokens;
use trace_viewer::model::TraceId;

use crate::parts::Part;
use crate::system::System;

/// How the demo names itself to the services.
const NAME: &str = "demo";

/// The sample user whom the printed `curl` lines sign in.
pub const EMAIL: &str = "ada@example.com";
/// Their password. It opens this demo and nothing else.
pub const PASSWORD: &str = "correct horse battery staple";

/// The shop, filled, with a user signed in.
#[derive(Clone)]
pub struct Shop {
    /// What can be ordered.
    pub products: Vec<Product>,
    order_url: String,
    access_token: String,
    client: reqwest::Client,
}

/// A product of the shop.
#[derive(Debug, Clone)]
pub struct Product {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: &'static str,
    /// How many there are at first.
    pub stock: i64,
}

/// Name, category, price in cents, stock.
const PRODUCTS: [(&str, &str, i64, i64); 4] = [
    ("Espresso machine", "kitchen", 24_900, 1_000_000),
    ("Coffee beans, 1 kg", "grocery", 1_850, 1_000_000),
    ("Milk jug", "kitchen", 1_450, 1_000_000),
    ("Barista's first edition", "books", 9_900, 0),
];

impl Shop {
    /// Fills the shop and signs the sample user in.
    ///
    /// # Errors
    /// Where a service refuses.
    pub async fn open(system: &System) -> anyhow::Result<Self> {
        let inside = Inside { system, tokens: ServiceTokens::new(NAME, system.service_secret()) };
        let products = inside.products().await.context("importing products")?;
        inside.user().await.context("making the sample user")?;
        let mut shop = Self {
            products,
            order_url: format!("{}/api/orders", system.url(Part::Order)),
            access_token: String::new(),
            client: system.client().clone(),
        };
        shop.sign_in(system).await?;
        Ok(shop)
    }

    /// Well before an access token expires.
    pub const SIGN_IN_AGAIN: Duration = Duration::from_secs(600);

    /// Signs the sample user in.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn sign_in(&mut self, system: &System) -> anyhow::Result<()> {
        let login = system.client().post(format!("{}/api/users/login", system.url(Part::User)));
        let login: Login = answer(login.json(&json!({ "email": EMAIL, "password": PASSWORD })))
            .await
            .context("signing in the sample user")?;
        self.access_token = login.access_token;
        Ok(())
    }

    /// The product that is sold out.
    pub fn sold_out(&self) -> &Product {
        self.products.iter().find(|product| product.stock == 0).unwrap_or(&self.products[0])
    }

    /// A product that there is plenty of.
    pub fn in_stock(&self) -> &Product {
        &self.products[0]
    }

    /// Orders one piece.
    ///
    /// # Errors
    /// Where there is no answer, or one that does not name its trace.
    pub async fn order(&self, product: &Product, payment_method: &str) -> anyhow::Result<Placed> {
        let order = json!({
            "product_id": product.id,
            "quantity": 1,
            "payment_method": payment_method,
            "order_type": "standard",
        });
        self.send(&order).await
    }

    /// Sends this as an order.
    ///
    /// # Errors
    /// As [`Shop::order`].
    pub async fn send(&self, order: &Value) -> anyhow::Result<Placed> {
        let request = self.client.post(&self.order_url).bearer_auth(&self.access_token).json(order);
        let response = request.send().await.context("ordering")?;
        let status = response.status();
        let trace = response.headers().get("traceresponse").and_then(|value| value.to_str().ok());
        let trace_id = trace.and_then(|trace| trace.split('-').nth(1)).and_then(|id| id.parse().ok());
        let trace_id = trace_id.context("the answer does not tell its trace")?;
        Ok(Placed { status, trace_id, body: response.json().await.context("reading the answer")? })
    }
}

/// An answer to an order.
#[derive(Debug, Clone)]
pub struct Placed {
    /// 201 where it is confirmed.
    pub status: StatusCode,
    /// The trace it was placed in.
    pub trace_id: TraceId,
    /// The order, or the problem document.
    pub body: Value,
}

/// The endpoints that take no anonymous caller.
struct Inside<'a> {
    system: &'a System,
    tokens: ServiceTokens,
}

impl Inside<'_> {
    async fn products(&self) -> anyhow::Result<Vec<Product>> {
        // A folder that is used again has its products already, and other ids for these.
        let run = uuid::Uuid::now_v7().simple().to_string();
        let rows: Vec<Value> = PRODUCTS
            .iter()
            .enumerate()
            .map(|(index, (name, category, price_minor, stock))| {
                json!({
                    "sku": format!("{run}-{index}"),
                    "name": name,
                    "category": category,
                    "price_minor": price_minor,
                    "currency": "EUR",
                    "stock": stock,
                })
            })
            .collect();
        let imported: Imported = self
            .post(Part::Inventory, "inventory-service", "/internal/products/import", &json!(rows))
            .await?;
        ensure!(imported.product_ids.len() == PRODUCTS.len(), "not every product was imported");
        let products = imported.product_ids.into_iter().zip(PRODUCTS);
        Ok(products.map(|(id, (name, _, _, stock))| Product { id, name, stock }).collect())
    }

    async fn user(&self) -> anyhow::Result<()> {
        let tenant: Tenant = self
            .post(Part::User, "user-service", "/internal/tenants", &json!({ "name": "Corner café" }))
            .await?;
        let user = json!({
            "email": EMAIL,
            "password": PASSWORD,
            "name": "Ada",
            "tenant_id": tenant.id,
            "tier": "free",
            "active": true,
        });
        let request = self.request(Part::User, "user-service", "/internal/users", &user);
        let response = request.send().await?;
        // The user of an earlier run in the same folder will do.
        if response.status() != StatusCode::CONFLICT {
            response.error_for_status()?;
        }
        Ok(())
    }

    async fn post<T: DeserializeOwned>(
        &self,
        part: Part,
        audience: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        answer(self.request(part, audience, path, body)).await
    }

    fn request(&self, part: Part, audience: &str, path: &str, body: &Value) -> RequestBuilder {
        let token = self.tokens.issue(audience, None);
        let request = self.system.client().post(format!("{}{path}", self.system.url(part)));
        request.bearer_auth(token.expose_secret()).json(body)
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = request.send().await?;
    let status = response.status();
    if !status.is_success() {
        anyhow::bail!("{status}: {}", response.text().await.unwrap_or_default());
    }
    Ok(response.json().await?)
}

#[derive(Deserialize)]
struct Login {
    access_token: String,
}

#[derive(Deserialize)]
struct Imported {
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Tenant {
    id: String,
}
