//! The service through its real socket, on SQLite, or on PostgreSQL where `TEST_POSTGRES_URL` is set.

use sample_service::SampleService;
use serde_json::json;
use service_kit::testing::{TestApp, assert_migrations_can_be_undone};
use telemetry_core::opentelemetry::trace::SpanKind;
use telemetry_core::testing::{SpanTree, span};

async fn spawn_app() -> TestApp {
    TestApp::spawn::<SampleService>([]).await
}

#[test]
fn every_migration_can_be_undone_and_done_again() {
    assert_migrations_can_be_undone::<SampleService>();
}

#[actix_web::test]
async fn a_made_item_can_be_found() {
    let app = spawn_app().await;
    let made = app.post("/api/items", &json!({ "name": " lamp " })).send().await.json(201);
    assert_eq!(made["name"], "lamp");
    let path = format!("/api/items/{}", made["id"].as_str().expect("an item has an id"));
    assert_eq!(app.get(&path).send().await.json(200), made);
}

#[actix_web::test]
async fn what_breaks_a_rule_or_is_not_there_is_refused() {
    let app = spawn_app().await;
    let nameless = app.post("/api/items", &json!({ "name": "" })).send().await;
    assert_eq!(nameless.assert_problem(422, "validation_failed")["errors"][0]["field"], "name");
    let unknown = "/api/items/0198c0de-0000-7000-8000-000000000000";
    app.get(unknown).send().await.assert_problem(404, "item_not_found");
}

#[actix_web::test]
async fn every_operation_is_in_the_document() {
    let app = spawn_app().await;
    let document = app.get("/api-docs/openapi.json").send().await.json(200);
    assert_eq!(document["info"]["title"], "sample-service");
    assert!(document["paths"]["/api/items"]["post"].is_object(), "{document}");
    assert!(document["paths"]["/api/items/{id}"]["get"].is_object(), "{document}");
}

/// The tree without what the server's and the database's own tests look at.
fn outline(tree: &SpanTree) -> SpanTree {
    let ours = tree.attributes.clone().into_iter().filter(|(name, _)| name.starts_with("item."));
    SpanTree {
        attributes: ours.collect(),
        children: tree.children.iter().map(outline).collect(),
        ..tree.clone()
    }
}

#[actix_web::test]
async fn a_made_item_is_one_trace_a_log_record_and_a_count_and_its_name_is_in_none() {
    let app = spawn_app().await;
    let made = app.post("/api/items", &json!({ "name": "canary" })).send().await.json(201);
    let id = made["id"].as_str().expect("an item has an id").to_owned();
    assert_eq!(
        outline(&app.traces(1).await[0]),
        span("POST /api/items", SpanKind::Server)
            .attribute("item.id", id.clone())
            .child(span("INSERT items", SpanKind::Client))
    );
    let log = app.telemetry.log("made an item");
    assert_eq!(log.text("item.id"), Some(id.as_str()));
    assert_eq!(log.span.as_deref(), Some("POST /api/items"));
    assert_eq!(app.telemetry.metric("items.made").value(), 1.0);
    app.telemetry.assert_absent("canary");
}
