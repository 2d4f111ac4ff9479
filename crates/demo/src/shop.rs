//! A shop to order in: tenants, users and products, made through the services' own API.

use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Method, RequestBuilder, StatusCode};
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
    orders: String,
    listing: String,
    login: String,
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

/// Name, category, price in cents, stock. A dozen: enough for a leak of queries to be told of.
const PRODUCTS: [(&str, &str, i64, i64); 12] = [
    ("Espresso machine", "kitchen", 24_900, 1_000_000),
    ("Coffee beans, 1 kg", "grocery", 1_850, 1_000_000),
    ("Milk jug", "kitchen", 1_450, 1_000_000),
    ("Signed poster", "art", 4_500, 1),
    ("Barista's first edition", "books", 9_900, 0),
    ("Burr grinder", "kitchen", 12_900, 1_000_000),
    ("Pour-over cone", "kitchen", 2_200, 1_000_000),
    ("Paper filters", "grocery", 390, 1_000_000),
    ("Green tea, 100 g", "grocery", 980, 1_000_000),
    ("Tasting spoon", "kitchen", 750, 1_000_000),
    ("Map of origins", "art", 3_900, 1_000_000),
    ("Roasting at home", "books", 2_400, 1_000_000),
];

impl Shop {
    /// Fills the shop and signs the sample user in.
    ///
    /// # Errors
    /// Where a service refuses.
    pub async fn open(system: &System) -> anyhow::Result<Self> {
        let inside = Inside::new(system);
        let mut shop = Self {
            products: inside.make_products().await.context("importing products")?,
            orders: format!("{}/api/orders", system.url(Part::Order)),
            listing: format!("{}/api/products?limit=100", system.url(Part::Inventory)),
            login: format!("{}/api/users/login", system.url(Part::User)),
            access_token: String::new(),
            client: system.client().clone(),
        };
        // The user of an earlier run in the same folder will do: signing in tells.
        let made = inside.make_user(EMAIL, PASSWORD).await;
        shop.sign_in_again()
            .await
            .or_else(|error| made.and(Err(error)))
            .context("signing in the sample user")?;
        Ok(shop)
    }

    /// Well before an access token expires.
    pub const SIGN_IN_AGAIN: Duration = Duration::from_secs(600);

    /// Gives the sample user a fresh access token.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn sign_in_again(&mut self) -> anyhow::Result<()> {
        self.access_token = self.sign_in(EMAIL, PASSWORD).await?;
        Ok(())
    }

    /// An access token for this user.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn sign_in(&self, email: &str, password: &str) -> anyhow::Result<String> {
        let request = self.client.post(&self.login).json(&json!({ "email": email, "password": password }));
        let login: Login = answer(request).await?;
        Ok(login.access_token)
    }

    /// The access token of the user who orders.
    pub fn access_token(&self) -> &str {
        &self.access_token
    }

    /// The same shop for the user with this access token.
    #[must_use]
    pub fn with_access_token(&self, access_token: &str) -> Self {
        Self { access_token: access_token.to_owned(), ..self.clone() }
    }

    /// The product that is sold out.
    pub fn sold_out(&self) -> &Product {
        self.with_stock(0)
    }

    /// A product of which there is one piece, until it is ordered.
    pub fn last_piece(&self) -> &Product {
        self.with_stock(1)
    }

    fn with_stock(&self, stock: i64) -> &Product {
        self.products.iter().find(|product| product.stock == stock).expect("the shop has such a product")
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
        let request = self.client.post(&self.orders).bearer_auth(&self.access_token).json(order);
        let response = request.send().await.context("ordering")?;
        let status = response.status();
        let trace = response.headers().get("traceresponse").and_then(|value| value.to_str().ok());
        let trace_id = trace.and_then(|trace| trace.split('-').nth(1)).and_then(|id| id.parse().ok());
        let body: Value = response.json().await.context("reading the answer")?;
        let trace_id = trace_id.with_context(|| format!("the answer tells no trace: {body}"))?;
        Ok(Placed { status, trace_id, body })
    }
}

impl Shop {
    /// Looks at the products.
    ///
    /// # Errors
    /// Where there is no answer.
    pub async fn browse(&self) -> anyhow::Result<StatusCode> {
        Ok(self.client.get(&self.listing).send().await?.status())
    }

    /// One of the user's orders.
    ///
    /// # Errors
    /// Where they have no such order.
    pub async fn find_order(&self, order_id: &str) -> anyhow::Result<Value> {
        let url = format!("{}/{order_id}", self.orders);
        answer(self.client.get(url).bearer_auth(&self.access_token)).await
    }

    /// The user's latest orders.
    ///
    /// # Errors
    /// Where the order service refuses.
    pub async fn list_orders(&self) -> anyhow::Result<Vec<Value>> {
        answer(self.client.get(&self.orders).bearer_auth(&self.access_token)).await
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
pub struct Inside<'a> {
    system: &'a System,
    tokens: ServiceTokens,
}

impl<'a> Inside<'a> {
    /// With tokens of the system's own secret.
    pub fn new(system: &'a System) -> Self {
        Self { system, tokens: ServiceTokens::new(NAME, system.service_secret()) }
    }

    /// Makes the shop's products, each time new ones: a folder that is used again has others already.
    ///
    /// # Errors
    /// Where the inventory service refuses.
    pub async fn make_products(&self) -> anyhow::Result<Vec<Product>> {
        self.import(&PRODUCTS).await
    }

    /// Makes a product that there are forty pieces of, each time a new one.
    ///
    /// # Errors
    /// Where the inventory service refuses.
    pub async fn make_hot_product(&self) -> anyhow::Result<Product> {
        let mut made = self.import(&[("Midnight roast", "grocery", 3_200, 40)]).await?;
        made.pop().context("no product was imported")
    }

    async fn import(&self, products: &[(&'static str, &str, i64, i64)]) -> anyhow::Result<Vec<Product>> {
        let run = uuid::Uuid::now_v7().simple().to_string();
        let rows: Vec<Value> = products
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
        let request = self.request(Method::POST, Part::Inventory, "/internal/products/import").json(&rows);
        let imported: Imported = answer(request).await?;
        ensure!(imported.product_ids.len() == products.len(), "not every product was imported");
        let made = imported.product_ids.into_iter().zip(products);
        Ok(made.map(|(id, &(name, _, _, stock))| Product { id, name, stock }).collect())
    }

    /// Makes a user, with a tenant of their own, and answers their id.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn make_user(&self, email: &str, password: &str) -> anyhow::Result<String> {
        let tenant = self.request(Method::POST, Part::User, "/internal/tenants");
        let tenant: Made = answer(tenant.json(&json!({ "name": "Corner café" }))).await?;
        let user = json!({
            "email": email,
            "password": password,
            "name": "Ada",
            "tenant_id": tenant.id,
            "tier": "free",
            "active": true,
        });
        let user: Made =
            answer(self.request(Method::POST, Part::User, "/internal/users").json(&user)).await?;
        Ok(user.id)
    }

    /// Keeps a user from doing anything further.
    ///
    /// # Errors
    /// Where the user service refuses.
    pub async fn deactivate_user(&self, user_id: &str) -> anyhow::Result<()> {
        let request = self.request(Method::PATCH, Part::User, &format!("/internal/users/{user_id}"));
        let _: Value = answer(request.json(&json!({ "active": false }))).await?;
        Ok(())
    }

    /// A request with a service token for this process.
    pub fn request(&self, method: Method, part: Part, path: &str) -> RequestBuilder {
        let audience = match part {
            Part::Gateway => payment_service::gateway::NAME.to_owned(),
            _ => format!("{}-service", part.name()),
        };
        let token = self.tokens.issue(&audience, None);
        let request = self.system.client().request(method, format!("{}{path}", self.system.url(part)));
        request.bearer_auth(token.expose_secret())
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
struct Made {
    id: String,
}
