//! What a process that was killed has left.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use diesel::RunQueryDsl as _;
use payment_service::PaymentService;
use service_kit::Service;
use service_kit::app::App;
use service_kit::config::Settings;
use service_kit::db::Connection;
use service_kit::testing::TestDatabase;
use telemetry_core::config::Env;
use telemetry_core::opentelemetry::trace::SpanKind;
use telemetry_core::testing::{SpanTree, TestTelemetry, span};
use uuid::Uuid;

use crate::harness::{RunningGateway, charge_request, wait_until};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN_ID: &str = "00f067aa0ba902b7";

fn settings(database: &TestDatabase, gateway: &RunningGateway) -> Settings<PaymentService> {
    let url = gateway.url();
    let variables =
        [("PORT", "0"), ("WORKERS", "1"), ("DATABASE_URL", database.url()), ("GATEWAY_URL", url.as_str())];
    let mut env = Env::of(variables);
    let settings = Settings::read(&mut env);
    env.finish().unwrap();
    settings
}

/// Writes a payment down that has been in this state since then.
fn insert(
    connection: &mut Connection,
    order_id: Uuid,
    status: &str,
    failure_code: Option<&str>,
    age: TimeDelta,
) {
    let (payment_id, since) = (Uuid::now_v7(), (Utc::now() - age).format("%Y-%m-%d %H:%M:%S"));
    let failure_code = failure_code.map_or("NULL".to_owned(), |code| format!("'{code}'"));
    let sql = format!(
        "INSERT INTO payments (order_id, payment_id, amount_minor, currency, payment_method, status, failure_code, \
         traceparent, created_at, updated_at) VALUES ('{order_id}', '{payment_id}', 1999, 'EUR', 'card_ok', '{status}', \
         {failure_code}, '00-{TRACE_ID}-{SPAN_ID}-01', '{since}', '{since}')"
    );
    diesel::sql_query(sql).execute(connection).unwrap();
}

fn outline(tree: &SpanTree) -> SpanTree {
    SpanTree {
        attributes: Default::default(),
        children: tree
            .children
            .iter()
            .filter(|child| child.name != "wait_for_connection")
            .map(outline)
            .collect(),
        ..tree.clone()
    }
}

#[actix_web::test]
async fn abandoned_charges_are_voided_in_a_trace_that_links_to_theirs() {
    let (database, gateway) = (TestDatabase::new(), RunningGateway::start(0, Duration::ZERO));
    let settings = settings(&database, &gateway);
    settings.database.migrate(PaymentService::MIGRATIONS).await.unwrap();
    let mut connection = Connection::open(&settings.database.url).unwrap();
    let long_ago = TimeDelta::minutes(10);
    let [killed, never_voided, in_hand, unreached] = std::array::from_fn(|_| Uuid::now_v7());
    insert(&mut connection, killed, "pending", None, long_ago);
    insert(&mut connection, never_voided, "failed", Some("gateway_timeout"), long_ago);
    insert(&mut connection, in_hand, "pending", None, TimeDelta::seconds(30));
    insert(&mut connection, unreached, "failed", Some("gateway_unavailable"), long_ago);
    for order_id in [killed, never_voided, in_hand, unreached] {
        let mut charge = charge_request(order_id, "card_ok");
        charge["reference"] = charge["order_id"].clone();
        assert_eq!(gateway.post("/charges", &charge).await.0, 201);
    }

    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let app = App::build(settings, &telemetry).await.unwrap();
    let stopper = app.stopper();
    telemetry_core::context::spawn_local(app.run());
    let recoveries = || telemetry.spans().into_iter().filter(|span| span.name == "recover_payment");
    wait_until("recovery", async || recoveries().count() == 2).await;

    let void = span("POST /charges/{reference}/void", SpanKind::Client);
    let update = span("UPDATE payments", SpanKind::Client);
    let recovery = span("recover_payment", SpanKind::Internal).link(format!("{TRACE_ID}-{SPAN_ID}"), []);
    let mut trees: Vec<SpanTree> = telemetry.trees().iter().map(outline).collect();
    trees.sort_by_key(|tree| tree.children.len());
    assert_eq!(
        trees,
        [
            recovery.clone().child(void.clone()).child(update.clone()),
            recovery.child(update.clone()).child(void).child(update),
        ]
    );
    assert!(
        recoveries().all(|recovery| recovery.span_context.trace_id().to_string() != TRACE_ID),
        "a recovery is a trace of its own"
    );
    let mut statuses = Vec::new();
    for order_id in [killed, never_voided, in_hand, unreached] {
        statuses.push(gateway.status_of(order_id).await);
    }
    assert_eq!(statuses, ["voided", "voided", "captured", "captured"]);
    stopper.stop().await;
}
