//! Every endpoint of every service refuses whoever may not use it, as the services' own OpenAPI documents have them:
//! an endpoint that is added is tried by itself, and one that asks for no token must be named here.

use std::collections::BTreeSet;

use demo::parts::Part;
use demo::shop::{Inside, Shop};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use service_kit::token::ServiceTokens;
use trace_viewer::model::TraceId;

use crate::harness::{Backend, GATEWAY_TIMEOUT, TestSystem, eventually, on_both_databases, run};

on_both_databases! {
    every_endpoint_refuses_every_token_that_proves_nothing_and_its_trace_does_not_tell_the_token
    every_endpoint_keeps_one_tenant_from_what_is_anothers
}

const SERVICES: [Part; 4] = [Part::User, Part::Inventory, Part::Payment, Part::Order];

/// What anybody may ask for: who are you, do you live, how to get a token, and what is for sale.
const OPEN: [&str; 8] = [
    "GET /",
    "GET /health",
    "GET /ready",
    "GET /metrics",
    "POST /api/users/register",
    "POST /api/users/login",
    "GET /api/products",
    "GET /api/products/{id}",
];

/// An endpoint, as its document has it.
struct Operation {
    part: Part,
    method: Method,
    path: String,
    /// The security scheme it asks for.
    scheme: Option<String>,
    /// A body that it takes, with its media type.
    body: Option<(String, String)>,
}

impl Operation {
    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    async fn ask(&self, test: &TestSystem, id: &str, token: Option<&str>) -> Answer {
        let mut parts = self.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
        let first = parts.next().unwrap_or_default().to_owned();
        let path = parts.fold(first, |path, part| path + "/" + part);
        let mut request = test
            .system
            .client()
            .request(self.method.clone(), format!("{}{path}", test.system.url(self.part)));
        if let Some((media_type, body)) = &self.body {
            request = request.header("content-type", media_type).body(body.clone());
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let trace = response.headers().get("traceresponse").and_then(|value| value.to_str().ok());
        let trace = trace.and_then(|value| value.split('-').nth(1)).unwrap_or_default().to_owned();
        let challenge = response.headers().contains_key("www-authenticate");
        Answer { status, trace, challenge, text: response.text().await.expect("the whole body") }
    }
}

struct Answer {
    status: u16,
    trace: String,
    challenge: bool,
    text: String,
}

impl Answer {
    fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.text).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }
}

/// All endpoints that ask for a token; those that do not are all in [`OPEN`].
async fn guarded(test: &TestSystem) -> Vec<Operation> {
    let (mut open, mut guarded) = (BTreeSet::new(), Vec::new());
    for part in SERVICES {
        let url = format!("{}/api-docs/openapi.json", test.system.url(part));
        let document: Value = test.system.client().get(url).send().await.unwrap().json().await.unwrap();
        for (path, methods) in document["paths"].as_object().expect("the document has paths") {
            for (method, operation) in methods.as_object().expect("a path has methods") {
                let operation = Operation {
                    part,
                    method: method.to_uppercase().parse().expect("a method"),
                    path: path.clone(),
                    scheme: operation["security"][0]
                        .as_object()
                        .and_then(|schemes| schemes.keys().next().cloned()),
                    body: body(&document, operation),
                };
                if operation.scheme.is_some() {
                    guarded.push(operation)
                } else {
                    open.insert(operation.name());
                }
            }
        }
    }
    assert_eq!(open, OPEN.map(str::to_owned).into_iter().collect(), "endpoints that ask for no token");
    assert!(guarded.len() > 12, "only {} endpoints ask for a token", guarded.len());
    guarded
}

/// A body that the operation can read, so that it is the token alone that is refused.
fn body(document: &Value, operation: &Value) -> Option<(String, String)> {
    let (media_type, content) = operation["requestBody"]["content"].as_object()?.iter().next()?;
    let text = if media_type == "application/json" {
        sample(document, &content["schema"]).to_string()
    } else {
        content["example"].as_str().unwrap_or_default().to_owned()
    };
    Some((media_type.clone(), text))
}

fn sample(document: &Value, schema: &Value) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return sample(document, &document["components"]["schemas"][name]);
    }
    if !schema["example"].is_null() {
        return schema["example"].clone();
    }
    match schema["type"].as_str().or_else(|| schema["type"][0].as_str()) {
        Some("object") => {
            let fields = schema["properties"].as_object().cloned().unwrap_or_default();
            let fields: Map<String, Value> =
                fields.iter().map(|(name, schema)| (name.clone(), sample(document, schema))).collect();
            fields.into()
        }
        Some("array") => json!([sample(document, &schema["items"])]),
        Some("integer") => json!(1),
        Some("boolean") => json!(true),
        _ if schema["format"] == "uuid" => json!(uuid::Uuid::now_v7()),
        _ => json!("text"),
    }
}

fn signed(claims: &Value, algorithm: Algorithm, key: &str) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key.as_bytes())).unwrap()
}

/// `{"alg":"none"}`, the claims of a good token, and no signature.
fn unsigned(good: &str) -> String {
    let claims = good.split('.').nth(1).expect("a token has claims");
    format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.")
}

/// Tokens that prove nothing here, each by what is wrong with it.
fn bad_tokens(scheme: &str, audience: &str, keys: &Keys, user_id: &str) -> Vec<(&'static str, String)> {
    let now = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs(),
    )
    .expect("a while to go");
    let (key, other, claims) = if scheme == "service_token" {
        (
            &keys.service,
            &keys.user,
            json!({ "iss": "order-service", "aud": audience, "sub": "", "iat": now, "exp": now + 60 }),
        )
    } else {
        (
            &keys.user,
            &keys.service,
            json!({ "iss": "user-service", "aud": "api", "sub": user_id, "iat": now, "exp": now + 60 }),
        )
    };
    let (key, other) = (key.expose_secret(), other.expose_secret());
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        signed(&claims, Algorithm::HS256, key)
    };
    let without = |name: &str| {
        let mut claims = claims.clone();
        claims.as_object_mut().expect("claims").remove(name);
        signed(&claims, Algorithm::HS256, key)
    };
    let good = signed(&claims, Algorithm::HS256, key);
    let (head, signature) = good.rsplit_once('.').expect("a token has parts");
    vec![
        ("expired", with("exp", json!(now - 60))),
        ("for another audience", with("aud", json!("somebody-else"))),
        ("without an expiry", without("exp")),
        ("without an audience", without("aud")),
        ("without an issuer", without("iss")),
        ("unsigned", unsigned(&good)),
        ("signed with the other kind's key", signed(&claims, Algorithm::HS256, other)),
        ("signed with a key of one's own", signed(&claims, Algorithm::HS256, "mine")),
        ("signed by another algorithm", signed(&claims, Algorithm::HS512, key)),
        ("changed", format!("{head}x.{signature}")),
        ("no token", "canary-9f27".to_owned()),
    ]
}

struct Keys {
    user: SecretString,
    service: SecretString,
}

async fn every_endpoint_refuses_every_token_that_proves_nothing_and_its_trace_does_not_tell_the_token(
    backend: Backend,
) {
    let variables = [("VIEWER_MAX_TRACES_MIB", "64")];
    let test = TestSystem::start_with(backend, GATEWAY_TIMEOUT, &variables).await;
    let keys = Keys {
        user: test.system.access_token_secret().clone(),
        service: test.system.service_secret().clone(),
    };
    let user_id = me(&test, &test.shop).await;
    let mut told = Vec::new();
    for mut operation in guarded(&test).await {
        if operation.path == "/internal/tokens/validate" {
            // The token that is asked about is good: the one that asks is looked at.
            operation.body =
                Some(("application/json".to_owned(), json!({"token": test.shop.access_token()}).to_string()));
        }
        let scheme = operation.scheme.as_deref().unwrap_or_default();
        let audience = format!("{}-service", operation.part.name());
        let mut tokens: Vec<(&str, Option<String>)> = vec![("none", None)];
        let bad = bad_tokens(scheme, &audience, &keys, &user_id);
        tokens.extend(bad.into_iter().map(|(what, token)| (what, Some(token))));
        for (what, token) in tokens {
            let id = uuid::Uuid::now_v7().to_string();
            let answer = operation.ask(&test, &id, token.as_deref()).await;
            let what = format!("{} with a token that is {what}", operation.name());
            assert_eq!(answer.status, 401, "{what}: {}", answer.text);
            assert!(answer.challenge, "{what}: no challenge");
            assert!(answer.code().ends_with("_token"), "{what}: {}", answer.text);
            if let Some(token) = token {
                assert!(!answer.text.contains(&token), "{what}: {}", answer.text);
                told.push((what, operation.name(), answer.trace, token));
            }
        }
        // It is the token that was refused, and nothing else of these requests.
        let tokens = ServiceTokens::new("order-service", &keys.service);
        let good = if scheme == "service_token" {
            tokens.issue(&audience, Some(&user_id)).expose_secret().to_owned()
        } else {
            test.shop.access_token().to_owned()
        };
        let answer = operation.ask(&test, &uuid::Uuid::now_v7().to_string(), Some(&good)).await;
        assert_ne!(answer.status, 401, "{} with a good token: {}", operation.name(), answer.text);
    }
    assert!(told.len() > 100, "only {} refusals", told.len());
    for (what, name, trace, token) in told {
        let id: TraceId = trace.parse().expect("every refusal names its trace");
        let found = async || test.traces.find(id).await.unwrap();
        eventually("the refusal's trace arrives", async || {
            found().await.is_some_and(|trace| trace.spans_named(&name).count() == 1)
        })
        .await;
        let text = serde_json::to_string(&found().await).unwrap();
        for part in token.split('.').filter(|part| part.len() > 10) {
            assert!(!text.contains(part), "{what}: its trace has {part}");
        }
    }
    for part in SERVICES {
        assert!(!test.printed(part).contains("eyJ"), "{} prints a token", part.name());
    }
}

async fn me(test: &TestSystem, shop: &Shop) -> String {
    let request = test.system.client().get(format!("{}/api/users/me", test.system.url(Part::User)));
    let me: Value = request.bearer_auth(shop.access_token()).send().await.unwrap().json().await.unwrap();
    me["id"].as_str().expect("an id").to_owned()
}

async fn every_endpoint_keeps_one_tenant_from_what_is_anothers(backend: Backend) {
    let test = TestSystem::start(backend).await;
    let placed = test.shop.order(test.shop.in_stock(), "card_ok").await.unwrap();
    let order_id = placed.body["order_id"].as_str().expect("an order").to_owned();
    let (owner, password) = (me(&test, &test.shop).await, "a password of some length");
    Inside::new(&test.system).make_user("mallory@example.net", password).await.unwrap();
    let mallory = test.shop.sign_in("mallory@example.net", password).await.unwrap();
    let mut tried = 0;
    for operation in guarded(&test).await {
        if operation.scheme.as_deref() != Some("user_token") {
            continue;
        }
        let answer = operation.ask(&test, &order_id, Some(&mallory)).await;
        let what = operation.name();
        if operation.path.contains('{') {
            assert!([403, 404].contains(&answer.status), "{what}: {} {}", answer.status, answer.text);
        }
        for mine in [&order_id, &owner] {
            assert!(
                !answer.text.contains(mine.as_str()),
                "{what} tells what is another tenant's: {}",
                answer.text
            );
        }
        tried += 1;
    }
    assert!(tried >= 4, "only {tried} endpoints take users' tokens");
    let order = test.shop.find_order(&order_id).await.unwrap();
    assert_eq!(order["status"], "confirmed", "nothing that Mallory did has changed it: {order}");
}
