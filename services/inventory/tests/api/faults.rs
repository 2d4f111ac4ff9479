//! What the service can be told to do wrong, and that it does nothing of it by itself.

use inventory_service::InventoryService;
use reqwest::Method;
use serde_json::{Value, json};
use service_kit::testing::{Answer, TestApp};
use telemetry_core::testing::SpanTree;

use crate::harness::{available, import, lamp, new_order, reserve, settle, spawn_app, stock_lamp};

async fn switch(app: &TestApp, faults: &Value) -> Answer {
    let request = app.request(Method::PUT, "/internal/faults");
    request.with(|request| request.json(faults)).from_service().send().await
}

async fn spawn_faulty() -> TestApp {
    TestApp::spawn::<InventoryService>([("FAULTS", "on")]).await
}

fn selects(tree: &SpanTree) -> usize {
    usize::from(tree.name.starts_with("SELECT")) + tree.children.iter().map(selects).sum::<usize>()
}

#[actix_web::test]
async fn without_leave_there_is_no_switch() {
    let app = spawn_app().await;
    switch(&app, &json!({ "handle_one_in": 3 })).await.assert_problem(404, "unknown_path");
}

#[actix_web::test]
async fn the_leak_gives_the_same_list_with_a_query_for_each_product() {
    let app = spawn_faulty().await;
    import(&app, &["A-1", "B-2", "C-3"].map(|sku| lamp(sku, 7))).await.json(201);
    let well = app.get("/api/products").send().await.json(200);
    assert_eq!(switch(&app, &json!({ "stock_by_product": true })).await.json(200)["handle_one_in"], 0);
    let leaking = app.get("/api/products").send().await.json(200);
    assert_eq!(well, leaking);
    let traces = app.traces(4).await;
    assert_eq!((selects(&traces[1]), selects(&traces[3])), (1, 4), "{:#?}", traces[3]);
}

#[actix_web::test]
async fn an_overloaded_service_handles_one_request_in_so_many_and_is_well_again() {
    let app = spawn_faulty().await;
    let product = stock_lamp(&app, 5).await;
    switch(&app, &json!({ "handle_one_in": 3 })).await.json(200);
    let order = new_order();
    for _ in 0..2 {
        reserve(&app, &order, &product, 1).await.assert_problem(503, "overloaded");
    }
    reserve(&app, &order, &product, 1).await.json(201);
    settle(&app, &order, "commit").await.assert_problem(503, "overloaded");
    switch(&app, &json!({})).await.json(200);
    settle(&app, &order, "commit").await.json(200);
    assert_eq!(available(&app, &product).await, 4);
}
