//! What every service answers.

use crate::harness::{nobody, spawn_order};

#[actix_web::test]
async fn the_service_runs_alone_and_documents_its_paths() {
    let order = spawn_order(&nobody(), &nobody(), &nobody()).await;
    assert_eq!(order.get("/").send().await.json(200)["status"], "operational");
    assert_eq!(order.get("/ready").send().await.json(200)["status"], "ready");
    let document = order.get("/api-docs/openapi.json").send().await.json(200);
    for path in ["/api/orders", "/api/orders/{id}", "/api/orders/{id}/cancel", "/api/orders/{id}/events"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}
