//! The telemetry contract: everything that the system emits is in our registry (`telemetry/registry`) or in
//! the published semantic conventions, and looks as it says there.
//!
//! The conventions' model is not part of this repository. Where `SEMCONV_MODEL` names its folder (`model` of
//! the release that the registry's manifest depends on), their names are checked too; without it ours alone are.

mod check;
mod registry;

use std::collections::BTreeSet;
use std::path::PathBuf;

use demo::parts::Part;
use demo::shop::Inside;
use futures_util::future::join_all;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use service_kit::token::ServiceTokens;
use tokio::sync::OnceCell;
use trace_viewer::model::{Logs, Metrics, Trace};

use self::check::Check;
use self::registry::{Registry, files, root};
use crate::harness::{Backend, GATEWAY_TIMEOUT, TestSystem, on_both_databases, run};

/// What needs a failure that is not made here: allowed to be missing from what is emitted. Each has a test of its own
/// where it is made.
const RARE: &[&str] = &[
    // Peers that are down, and processes that were killed.
    "compensate_order",
    "finish_order",
    "recover_payment",
    // One statement for each of many rows.
    "db.query.repeated",
    "db.query.repetitions",
    "db.query.uncounted",
    // WebSocket connections, of which the drive opens none.
    "websocket.close_code",
    "websocket.message",
    "websocket.message.size",
    "websocket.message.type",
    "websocket.messages",
    "websocket.messages.received",
    "websocket.messages.sent",
    // A pool with no room.
    "wait_for_connection",
    // Logs in a flood, exporters that fail, too many series.
    "suppressed.level",
    "suppressed.lines",
    "suppressed.place",
    "suppressed.target",
    "export.dropped",
    "export.failed",
    "export.queue_size",
    "export.signal",
    "metric.count",
    "metric.limit",
    "metric.name",
];

/// What an orchestrator would say of the place where the processes run.
const PLACE: [(&str, &str); 8] = [
    ("HOST_TYPE", "m7g.large"),
    ("CONTAINER_NAME", "shop"),
    ("CONTAINER_IMAGE", "shop/services:1.2@sha256:afcc7f1ac1b49db317a7196c902e61c6"),
    ("K8S_CLUSTER_NAME", "eu"),
    ("K8S_NAMESPACE_NAME", "shop"),
    ("K8S_POD_NAME", "shop-5d69f8c8cd-x7k2p"),
    ("K8S_POD_UID", "c0eb0d9f-2a3b-4c5d-8e7f-0123456789ab"),
    ("K8S_NODE_NAME", "node-7"),
];

on_both_databases! {
    everything_emitted_is_in_the_registry
}

async fn everything_emitted_is_in_the_registry(backend: Backend) {
    let registry = Registry::load(None);
    let seen = assert_kept(&registry, backend).await;
    let unseen: Vec<_> = names(&registry)
        .into_iter()
        .filter(|name| !seen.contains(name) && !RARE.contains(&&**name))
        .collect();
    assert!(unseen.is_empty(), "the registry has what nothing emits: {unseen:?}");
}

#[test]
#[cfg_attr(not(test_semconv), ignore = "needs the semantic conventions: set SEMCONV_MODEL")]
fn everything_emitted_keeps_to_the_conventions_on_sqlite() {
    run(assert_kept(&Registry::load(Some(&model())), Backend::Sqlite));
}

#[test]
#[cfg_attr(not(all(test_semconv, test_postgres)), ignore = "needs SEMCONV_MODEL and TEST_POSTGRES_URL")]
fn everything_emitted_keeps_to_the_conventions_on_postgres() {
    run(assert_kept(&Registry::load(Some(&model())), Backend::Postgres));
}

#[test]
#[cfg_attr(not(test_semconv), ignore = "needs the semantic conventions: set SEMCONV_MODEL")]
fn the_registry_extends_the_conventions_and_repeats_none_of_their_names() {
    assert_eq!(Registry::load(Some(&model())).mistakes(), [""; 0]);
}

#[test]
fn the_registry_is_whole() {
    assert_eq!(Registry::load(None).mistakes(), [""; 0]);
}

#[test]
fn each_name_of_the_registry_stands_in_the_code_and_in_the_documentation() {
    let registry = Registry::load(None);
    let mut code = String::new();
    for folder in ["crates/telemetry-core/src", "crates/service-kit/src", "services"] {
        for path in files(&root().join(folder), "rs") {
            if !path.components().any(|part| part.as_os_str() == "tests") {
                code += &std::fs::read_to_string(path).expect("a source file");
            }
        }
    }
    let documentation =
        std::fs::read_to_string(root().join("docs/instrumentation.md")).expect("the document is there");
    let is_group_of_ours = |name: &str| name.ends_with(".query") || name.ends_with(".request");
    for name in names(&registry) {
        assert!(documentation.contains(&format!("`{name}`")), "`{name}` is not in docs/instrumentation.md");
        assert!(is_group_of_ours(&name) || has_word(&code, &name), "{name} is not in the code");
    }
}

/// Whether the text has this name, not as a part of a longer one.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_' || character == '.';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Our spans, events, metrics and attributes.
fn names(registry: &Registry) -> BTreeSet<String> {
    let groups = registry.ours().filter_map(|group| match group.kind.as_str() {
        "span" => group.id.strip_prefix("span.").map(str::to_owned),
        "event" => group.name.clone(),
        "metric" => group.metric_name.clone(),
        _ => None,
    });
    let mut names: BTreeSet<_> = groups.collect();
    names.extend(registry.our_attributes.iter().cloned());
    // One span has either name; which one depends on the database.
    names.remove("db.postgresql.query");
    names.remove("db.sqlite.query");
    names
}

fn model() -> PathBuf {
    let folder = std::env::var_os("SEMCONV_MODEL").expect("SEMCONV_MODEL names the conventions' model");
    PathBuf::from(folder)
}

/// Checks everything; answers the names that were seen.
async fn assert_kept(registry: &Registry, backend: Backend) -> BTreeSet<String> {
    let emitted = emitted(backend).await;
    let mut check = Check::new(registry);
    for trace in &emitted.traces {
        trace.resources.iter().for_each(|resource| check.resource(resource));
        trace.spans.iter().for_each(|span| check.span(span));
    }
    emitted.logs.resources.iter().for_each(|resource| check.resource(resource));
    emitted.logs.records.iter().for_each(|record| check.log_record(record));
    emitted.metrics.resources.iter().for_each(|resource| check.resource(resource));
    emitted.metrics.metrics.iter().for_each(|metric| check.metric(metric));
    let lines: Vec<_> = check.violations.iter().map(String::as_str).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
    check.seen
}

/// What a system emitted from its start to its end.
struct Emitted {
    traces: Vec<Trace>,
    logs: Logs,
    metrics: Metrics,
}

/// The telemetry of a system of this backend that was asked for all it does.
async fn emitted(backend: Backend) -> &'static Emitted {
    static SQLITE: OnceCell<Emitted> = OnceCell::const_new();
    static POSTGRES: OnceCell<Emitted> = OnceCell::const_new();
    let cell = match backend {
        Backend::Sqlite => &SQLITE,
        Backend::Postgres => &POSTGRES,
    };
    cell.get_or_init(|| async {
        let test = TestSystem::start_with(backend, GATEWAY_TIMEOUT, &PLACE).await;
        drive(&test).await;
        collect(test).await
    })
    .await
}

/// Orders of each outcome, and requests of each kind that goes wrong.
async fn drive(test: &TestSystem) {
    let shop = &test.shop;
    let order =
        async |payment_method: &str| shop.order(shop.in_stock(), payment_method).await.unwrap().status;
    let placed = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(placed.status, 201);
    assert_eq!(order("card_declined").await, 402);
    assert_eq!(order("card_slow").await, 504);
    assert_eq!(order("gateway_error").await, 503);
    assert_eq!(shop.order(shop.sold_out(), "card_ok").await.unwrap().status, 409);
    let unknown = json!({
        "product_id": "00000000-0000-7000-8000-000000000000",
        "quantity": 1,
        "payment_method": "card_ok",
    });
    let unknown_product = shop.send(&unknown).await.unwrap();
    assert_eq!(unknown_product.status, 404);
    assert_eq!(shop.send(&json!({ "quantity": 0 })).await.unwrap().status, 400);
    let broken_rules =
        json!({ "product_id": "x", "quantity": 0, "payment_method": "x", "order_type": "fast" });
    assert_eq!(shop.send(&broken_rules).await.unwrap().status, 422);
    assert_eq!(shop.with_access_token("x").order(shop.in_stock(), "card_ok").await.unwrap().status, 401);
    shop.list_orders().await.unwrap();
    shop.find_order(unknown_product.body["order_id"].as_str().unwrap()).await.unwrap();

    let send = async |method: Method, part: Part, path: &str, body: Value, token: &str| {
        let request = test.system.client().request(method, format!("{}{path}", test.system.url(part)));
        let request = request.header(CONTENT_TYPE, "application/json").header("user-agent", "contract");
        request.bearer_auth(token).body(body.to_string()).send().await.expect("an answer").status().as_u16()
    };
    let brew = Method::from_bytes(b"BREW").unwrap();
    for part in [Part::User, Part::Inventory, Part::Payment, Part::Order] {
        assert_eq!(send(Method::GET, part, "/nowhere?token=secret&page=2", Value::Null, "x").await, 404);
        assert_eq!(send(Method::PUT, part, "/health", Value::Null, "x").await, 405);
        assert_eq!(send(brew.clone(), part, "/nowhere", Value::Null, "x").await, 404);
    }
    let who =
        json!({ "email": "grace@example.org", "password": "a password of some length", "name": "Grace" });
    assert_eq!(send(Method::POST, Part::User, "/api/users/register", who.clone(), "x").await, 201);
    assert_eq!(send(Method::POST, Part::User, "/api/users/register", who, "x").await, 409);
    let wrong = json!({ "email": "grace@example.org", "password": "another password" });
    assert_eq!(send(Method::POST, Part::User, "/api/users/login", wrong, "x").await, 401);
    assert_eq!(send(Method::GET, Part::User, "/api/users/me", Value::Null, shop.access_token()).await, 200);

    let product = &shop.in_stock().id;
    for (path, status) in [("".to_owned(), 200), (format!("/{product}"), 200), ("/none".to_owned(), 404)] {
        let path = format!("/api/products{path}");
        assert_eq!(send(Method::GET, Part::Inventory, &path, Value::Null, "x").await, status);
    }
    let tokens = ServiceTokens::new("demo", test.system.service_secret());
    let token_for = |service: &str| tokens.issue(service, None).expose_secret().to_owned();
    let token = token_for("inventory-service");
    let rows: Vec<_> = (0..250)
        .map(|row| {
            json!({
                "sku": format!("bulk-{row}"),
                "name": "Cup",
                "category": "kitchen",
                "price_minor": 500,
                "currency": "EUR",
                "stock": 10,
            })
        })
        .collect();
    // A second time the SKUs are taken.
    for status in [201, 409] {
        let path = "/internal/products/import";
        assert_eq!(send(Method::POST, Part::Inventory, path, json!(rows), &token).await, status);
    }
    let reservation = "/internal/reservations/00000000-0000-7000-8000-000000000000/commit";
    assert_eq!(send(Method::POST, Part::Inventory, reservation, json!({}), &token).await, 404);
    let refund = format!("/internal/payments/{}/refund", placed.body["order_id"].as_str().unwrap());
    assert_eq!(
        send(Method::POST, Part::Payment, &refund, json!({}), &token_for("payment-service")).await,
        200
    );
    let inside = Inside::new(&test.system);
    let user = inside.make_user("alan@example.org", "a password of some length").await.unwrap();
    inside.deactivate_user(&user).await.unwrap();

    let burst = (0..40).map(async |n| {
        let payment_method = if n % 4 == 0 { "card_declined" } else { "card_ok" };
        shop.order(shop.in_stock(), payment_method).await.unwrap()
    });
    join_all(burst).await;
}

/// Stops the services, which flushes what they still have, and asks the viewer for everything.
async fn collect(mut test: TestSystem) -> Emitted {
    for part in [Part::Order, Part::Payment, Part::Inventory, Part::User] {
        test.system.stop_one(part).await.unwrap();
    }
    let viewer = test.system.url(Part::Viewer);
    let client = test.system.client().clone();
    let read = async |path: &str| {
        let answer = client.get(format!("{viewer}{path}")).send().await.unwrap();
        answer.error_for_status().unwrap()
    };
    let list = test.traces.changed(None).await.unwrap().traces;
    let mut traces = Vec::new();
    for summary in &list {
        traces.push(test.traces.find(summary.trace_id).await.unwrap().expect("it is listed"));
    }
    let emitted = Emitted {
        traces,
        logs: read("/api/logs?limit=10000").await.json().await.unwrap(),
        metrics: read("/api/metrics").await.json().await.unwrap(),
    };
    let status: Value = read("/api/status").await.json().await.unwrap();
    for (what, count) in status["dropped"].as_object().unwrap() {
        assert!(count == 0 || what == "duplicate_spans", "the viewer has not kept everything: {status}");
    }
    test.system.stop().await.unwrap();
    emitted
}
