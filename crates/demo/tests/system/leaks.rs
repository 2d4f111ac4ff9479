//! What people type in appears in no signal: not in a span, a log record, a metric or a resource, and not in what the
//! processes print. Every endpoint is tried, as the services' own OpenAPI documents have them.
//!
//! The limit of it: the conventions ask for `url.path`, `url.query` and `user_agent.original` as they were sent, and a
//! `tracestate` is to be passed on. Query values are left out by their keys' names. So a secret in a path, under an
//! innocent query key, in the user agent's name or in a tracestate would be recorded, there and nowhere else, which
//! [`PUBLIC`] shows. (Sixteen digits are also a good parent id for a `traceparent`.) Of services, which prove by a token
//! that they are, the tenant in the baggage is believed: its name is on spans.

mod signals;

use std::collections::BTreeSet;

use demo::parts::Part;
use demo::shop::Inside;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use service_kit::token::ServiceTokens;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Backend, GATEWAY_TIMEOUT, TestSystem, eventually, on_both_databases, run, watch};
use crate::proxy::{Fate, Proxy};
use signals::Signals;

on_both_databases! {
    no_password_token_card_number_or_address_stands_in_any_signal
    no_secret_sent_to_any_endpoint_stands_in_any_signal
}

const EMAIL: &str = "canary.ada@example.org";
const NAME: &str = "Canary Lovelace";
const PASSWORD: &str = "canary-password-5b1d";
const CARD: &str = "4111111111111111";
const BEARER: &str = "canary.bearer.c2lnbmF0dXJl";
const COOKIE: &str = "canary-cookie-77aa";
const API_KEY: &str = "canary-api-key-01fe";
const BAGGAGE: &str = "canary-baggage-3c9d";
const SQL: &str = "canary'; DROP TABLE users; --";
const SECRETS: [&str; 9] = [EMAIL, NAME, PASSWORD, CARD, BEARER, COOKIE, API_KEY, BAGGAGE, SQL];

/// Sent where it may be recorded, and found in [`signals::PUBLIC_FIELDS`] only.
const PUBLIC: &str = "canary-public-7d21";

const SERVICES: [Part; 4] = [Part::Order, Part::Payment, Part::Inventory, Part::User];

async fn no_password_token_card_number_or_address_stands_in_any_signal(backend: Backend) {
    let test = TestSystem::start(backend).await;
    let (client, url) =
        (test.system.client().clone(), |part, path: &str| format!("{}{path}", test.system.url(part)));
    let post = |part, path: &str, body: serde_json::Value| {
        let request = client.post(url(part, path)).json(&body);
        async move { request.send().await.expect("an answer") }
    };

    // Good and bad, to every endpoint that takes what a person types.
    let registration = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
    assert_eq!(post(Part::User, "/api/users/register", registration.clone()).await.status(), 201);
    assert_eq!(post(Part::User, "/api/users/register", registration).await.status(), 409);
    let misplaced = json!({ "email": PASSWORD, "password": [PASSWORD], "name": EMAIL });
    assert_eq!(post(Part::User, "/api/users/register", misplaced).await.status(), 400);
    let wrong = json!({ "email": EMAIL, "password": format!("{PASSWORD}!") });
    assert_eq!(post(Part::User, "/api/users/login", wrong).await.status(), 401);
    let token = test.shop.sign_in(EMAIL, PASSWORD).await.unwrap();
    Inside::new(&test.system).make_user(&format!("second.{EMAIL}"), PASSWORD).await.unwrap();

    let secrets = format!("?token={token}&password={PASSWORD}&email={EMAIL}&card_number={CARD}");
    for part in SERVICES {
        for path in ["/", "/api/users/me", "/api/orders", "/nowhere"] {
            let request = client.get(url(part, &format!("{path}{secrets}"))).bearer_auth(&token);
            request.header("cookie", format!("session={token}")).send().await.unwrap();
        }
    }
    let shop = test.shop.with_access_token(&token);
    assert_eq!(shop.order(shop.in_stock(), "card_ok").await.unwrap().status, 201);
    for order in [
        json!({ "product_id": shop.in_stock().id, "quantity": 1, "payment_method": CARD }),
        json!({ "product_id": CARD, "quantity": EMAIL, "payment_method": PASSWORD, "order_type": EMAIL }),
        json!({ CARD: CARD, PASSWORD: EMAIL }),
    ] {
        let refused = shop.send(&order).await.unwrap();
        assert!(refused.status.is_client_error(), "{}", refused.body);
    }
    let shop = test.shop.with_access_token(&format!("{token}x"));
    assert_eq!(shop.order(shop.in_stock(), "card_ok").await.unwrap().status, 401);

    let signature = token.rsplit('.').next().unwrap();
    let signals = Signals::of(test).await;
    assert!(signals.traces.len() > 20, "only {} traces", signals.traces.len());
    signals.assert_absent(&[EMAIL, NAME, PASSWORD, CARD, signature]);
}

async fn no_secret_sent_to_any_endpoint_stands_in_any_signal(backend: Backend) {
    let inventory = Proxy::start().await;
    // Every trace and every series is asked for at the end.
    let variables = [
        ("INVENTORY_URL", inventory.url()),
        ("VIEWER_MAX_TRACES_MIB", "256"),
        ("VIEWER_MAX_LOGS_MIB", "32"),
        ("VIEWER_MAX_METRICS_MIB", "16"),
        // What libraries tell at this level leaks no more.
        ("RUST_LOG", "debug"),
        ("LOG_RATE_LIMIT", "0"),
        // Every body is to come far.
        ("LOGIN_ATTEMPTS_PER_ACCOUNT", "10000"),
        ("LOGIN_ATTEMPTS_PER_ADDRESS", "100000"),
    ];
    let test = TestSystem::start_with(backend, GATEWAY_TIMEOUT, &variables).await;
    inventory.lead_to(&test.system.url(Part::Inventory));
    let registration = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
    let register = format!("{}/api/users/register", test.system.url(Part::User));
    let registered = test.system.client().post(register).json(&registration).send().await.unwrap();
    assert_eq!(registered.status(), 201);
    let user_token = test.shop.sign_in(EMAIL, PASSWORD).await.unwrap();
    let tokens = ServiceTokens::new("leak-test", test.system.service_secret());
    let mut secrets: Vec<String> = SECRETS.map(str::to_owned).to_vec();
    secrets.push(signature(&user_token));

    let mut operations = BTreeSet::new();
    let mut statuses = BTreeSet::new();
    for part in SERVICES {
        let service_token =
            tokens.issue(&format!("{}-service", part.name()), None).expose_secret().to_owned();
        secrets.push(signature(&service_token));
        for path in ["/docs/", "/docs/swagger-initializer.js", "/api-docs/openapi.json", "/favicon.ico"] {
            request(&test, part, "get", path, Some(BEARER), false).send().await.expect("an answer");
        }
        let document = document(&test, part).await;
        let paths = document["paths"].as_object().expect("the document has paths");
        for (path, methods) in paths {
            let declared = methods.as_object().expect("a path has methods").keys().map(String::as_str);
            for method in declared {
                let bodies = bodies(&document, &methods[method], &test.shop.in_stock().id);
                for (path, body) in combinations(path, &bodies) {
                    for token in [None, Some(BEARER), Some(&user_token), Some(&service_token)] {
                        let is_believed = token == Some(&*service_token);
                        let request = request(&test, part, method, &path, token, is_believed);
                        let answer = body.add_to(request).send().await.expect("an answer");
                        statuses.insert(answer.status().as_u16());
                    }
                }
                operations.insert(format!("{} {path}", method.to_uppercase()));
            }
            // Those that are not declared go through the middleware alone.
            for method in
                ["delete", "head", "options"].into_iter().filter(|&method| methods.get(method).is_none())
            {
                for (path, body) in
                    combinations(path, &[Body::Json(json!({ "password": PASSWORD, EMAIL: CARD }))])
                {
                    let request = request(&test, part, method, &path, Some(BEARER), false);
                    let answer = body.add_to(request).send().await.expect("an answer");
                    statuses.insert(answer.status().as_u16());
                }
            }
        }
    }
    say_secrets_over_a_websocket(&test, &user_token, &inventory).await;
    tell_secrets_to_the_gateway(&test).await;
    // Successes, extractors, rules, conflicts, unknown ids: the canaries came far, and nothing broke.
    for reached in [200, 201, 400, 401, 404, 405, 409, 415, 422] {
        assert!(statuses.contains(&reached), "no answer was {reached}, only {statuses:?}");
    }
    assert!(!statuses.contains(&500), "{statuses:?}");

    let scraped: Vec<(String, String)> = {
        let mut texts = Vec::new();
        for part in SERVICES {
            let url = format!("{}/metrics", test.system.url(part));
            let text = test.system.client().get(url).send().await.unwrap().text().await.unwrap();
            texts.push((format!("/metrics of {}", part.name()), text));
        }
        texts
    };
    let mut signals = Signals::of(test).await;
    signals.others.extend(scraped);
    let untraced = ["/health", "/ready", "/metrics", "/favicon.ico"];
    for operation in operations.iter().filter(|one| !untraced.iter().any(|path| one.ends_with(path))) {
        assert!(signals.has_span(operation), "no span is named {operation}");
    }
    signals.assert_absent(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    signals.assert_public_only_where_it_may_be();
}

/// As messages, as a protocol and as the reason of the good-bye, on the connection of an order that is not final.
async fn say_secrets_over_a_websocket(test: &TestSystem, user_token: &str, inventory: &Proxy) {
    inventory.on("/commit HTTP/1.1", Fate::Cut);
    let shop = test.shop.with_access_token(user_token);
    let placed = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(placed.status, 202, "{}", placed.body);
    let order_id = placed.body["order_id"].as_str().unwrap();
    let protocols =
        |token: &str| ("sec-websocket-protocol", format!("order-events, bearer.{token}, {COOKIE}"));
    watch(test, order_id, protocols(BEARER)).await.expect_err("a token that is none");
    watch(test, &format!("{PUBLIC}'%20OR%201=1"), protocols(user_token)).await.expect_err("no order");
    let good_bye = CloseFrame { code: CloseCode::Normal, reason: EMAIL.into() };
    for message in [
        Message::text(PASSWORD),
        Message::text(json!({ "token": user_token, "card": CARD }).to_string()),
        Message::binary(SQL.as_bytes().to_vec()),
        Message::Ping(COOKIE.into()),
        Message::Close(Some(good_bye)),
    ] {
        let goes_on = matches!(message, Message::Ping(_));
        let mut socket = watch(test, order_id, protocols(user_token)).await.expect("an upgrade");
        assert!(socket.next().await.expect("the order comes first").expect("a message").is_text());
        socket.send(message).await.expect("it is open");
        if goes_on {
            socket.send(Message::text(SQL)).await.expect("it is open");
        }
        while let Some(Ok(_)) = socket.next().await {}
    }
    inventory.on("", Fate::Pass);
    eventually("the order is confirmed", async || {
        // The service may have closed a connection whose body it never read.
        shop.find_order(order_id).await.is_ok_and(|order| order["status"] == "confirmed")
    })
    .await;
}

/// It makes no telemetry, and prints nothing of what it is told.
async fn tell_secrets_to_the_gateway(test: &TestSystem) {
    let post = async |path: &str, body: String| {
        let request = test.system.client().post(format!("{}{path}", test.system.url(Part::Gateway)));
        let request = request.header(CONTENT_TYPE, "application/json").bearer_auth(BEARER).body(body);
        request.send().await.expect("an answer").status().as_u16()
    };
    let charge = |reference: &str, method: &str| json!({ "reference": reference, "amount_minor": 100, "currency": "EUR", "payment_method": method });
    assert_eq!(post("/charges", charge(PASSWORD, "card_ok").to_string()).await, 201);
    assert_eq!(post("/charges", charge(EMAIL, CARD).to_string()).await, 422);
    assert_eq!(post("/charges", format!("{{\"payment_method\":\"{CARD}")).await, 400);
    let refund = json!({ "transaction_id": SQL, "amount_minor": 100 });
    assert_eq!(post("/refunds", refund.to_string()).await, 404);
    assert!(post(&format!("/charges/{PASSWORD}/void"), String::new()).await < 500);
}

fn signature(token: &str) -> String {
    token.rsplit('.').next().expect("a token has parts").to_owned()
}

async fn document(test: &TestSystem, part: Part) -> Value {
    let url = format!("{}/api-docs/openapi.json", test.system.url(part));
    test.system.client().get(url).send().await.unwrap().json().await.expect("the OpenAPI document")
}

/// A request with a canary wherever a caller can put one beside path and body.
fn request(
    test: &TestSystem,
    part: Part,
    method: &str,
    path: &str,
    token: Option<&str>,
    is_believed: bool,
) -> RequestBuilder {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
    let mut url = reqwest::Url::parse(&format!("{}{path}", test.system.url(part))).expect("a URL");
    url.query_pairs_mut()
        .append_pair("q", PUBLIC)
        .append_pair("password", PASSWORD)
        .append_pair("user[email]", EMAIL)
        .append_pair("card_number", CARD)
        .append_pair("access_token", BEARER)
        .append_pair("apiKey", API_KEY)
        .append_pair("secret", SQL);
    let mut request = test
        .system
        .client()
        .request(method, url)
        .header("cookie", format!("session={COOKIE}"))
        .header("x-api-key", API_KEY)
        .header("proxy-authorization", format!("Basic {PASSWORD}"))
        .header("user-agent", PUBLIC)
        .header("tracestate", format!("canary={PUBLIC}"))
        .header("traceparent", format!("00-{}-00f067aa0ba902b7-01", uuid::Uuid::now_v7().simple()))
        .header("referer", format!("http://localhost/{PASSWORD}"))
        .header("origin", format!("http://{COOKIE}.example"))
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", API_KEY)
        .header("forwarded", format!("for={COOKIE};host={COOKIE}.example;proto={COOKIE}"))
        .header("x-forwarded-for", COOKIE)
        .header("x-forwarded-host", COOKIE)
        .header("baggage", format!("session={BAGGAGE}"));
    if !(is_believed && path.starts_with("/internal/")) {
        request = request.header("baggage", format!("tenant.id={BAGGAGE},tenant.name={BAGGAGE}"));
    }
    match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

enum Body {
    None,
    Json(Value),
    /// A media type, and what is not of it.
    Text(&'static str, String),
}

impl Body {
    fn add_to(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::None => request,
            Self::Json(value) => request.json(value),
            Self::Text(media_type, text) => request.header(CONTENT_TYPE, *media_type).body(text.clone()),
        }
    }
}

/// Each body at a path whose ids are ids, and the first at one where they are not.
fn combinations<'a>(path: &str, bodies: &'a [Body]) -> Vec<(String, &'a Body)> {
    let fill = |id: &str| {
        let mut parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |path, part| path + "/" + part)
    };
    let with_id = fill("00000000-0000-7000-8000-000000000000");
    let mut all: Vec<_> = bodies.iter().map(|body| (with_id.clone(), body)).collect();
    all.push((fill(&format!("{PUBLIC}'%20OR%201=1")), &bodies[0]));
    all
}

/// The right body for an operation, and it with each field replaced; and what is no JSON at all.
fn bodies(document: &Value, operation: &Value, product_id: &str) -> Vec<Body> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    if schema.is_null() {
        return vec![Body::None, Body::Json(json!({ "password": PASSWORD, EMAIL: CARD }))];
    }
    let is_list = schema["type"] == "array";
    let reference = if is_list { &schema["items"]["$ref"] } else { &schema["$ref"] };
    let name =
        reference.as_str().and_then(|path| path.rsplit('/').next()).expect("a body's schema has a name");
    let fields = document["components"]["schemas"][name]["properties"].as_object().expect("fields");
    let right: Map<String, Value> =
        fields.iter().map(|(name, field)| (name.clone(), right_value(name, field, product_id))).collect();
    let whole = |fields: Map<String, Value>| {
        let fields = Value::Object(fields);
        Body::Json(if is_list { json!([fields]) } else { fields })
    };
    let mut bodies = vec![whole(right.clone())];
    for field in fields.keys() {
        let card_as_number: i64 = CARD.parse().expect("digits");
        let mut values: Vec<Value> = [EMAIL, PASSWORD, CARD, SQL].map(Value::from).to_vec();
        values.extend([
            json!(format!("{EMAIL}\u{0}")),
            json!(card_as_number),
            json!([EMAIL]),
            json!({ PASSWORD: EMAIL }),
            Value::Null,
        ]);
        for value in values {
            let mut changed = right.clone();
            changed.insert(field.clone(), value);
            bodies.push(whole(changed));
        }
    }
    let mut unknown = right;
    unknown.insert(EMAIL.to_owned(), json!(PASSWORD));
    bodies.push(whole(unknown));
    let cut = format!("{{\"password\":\"{PASSWORD}\",\"email\":\"{EMAIL}");
    bodies.push(Body::Text("application/json", cut.clone()));
    bodies.push(Body::Text("application/json", SQL.to_owned()));
    bodies.push(Body::Text("application/x-www-form-urlencoded", format!("password={PASSWORD}")));
    bodies.push(Body::Text("text/plain", cut));
    bodies
}

/// What the field takes, and a canary where it takes any text.
fn right_value(name: &str, field: &Value, product_id: &str) -> Value {
    match name {
        "email" => json!(EMAIL),
        "password" => json!(PASSWORD),
        "name" => json!(NAME),
        "token" => json!(BEARER),
        "product_id" => json!(product_id),
        "payment_method" => json!("card_ok"),
        "order_type" => json!("standard"),
        "tenant_id" | "order_id" => json!(uuid::Uuid::now_v7()),
        _ if !field["example"].is_null() => field["example"].clone(),
        _ => match field["type"].as_str().or_else(|| field["type"][0].as_str()) {
            Some("integer") => json!(1),
            Some("boolean") => json!(true),
            _ => json!(NAME),
        },
    }
}
