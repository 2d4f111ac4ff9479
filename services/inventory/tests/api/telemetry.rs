//! What the service emits.

use serde_json::json;
use service_kit::testing::TestApp;
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::trace::{SpanKind, Status};
use telemetry_core::testing::{SpanTree, span};
use uuid::Uuid;

use crate::harness::{import, lamp, new_order, reserve, reserved, settle, spawn_app, stock_lamp};

/// The request's span below which everything else is, once it and its like have ended.
async fn last_trace(app: &TestApp, requests: usize) -> SpanTree {
    app.traces(requests).await.remove(requests - 1)
}

/// The tree without what the server's and the database's own tests look at.
fn outline(tree: &SpanTree) -> SpanTree {
    let attributes = tree.attributes.clone().into_iter();
    let ours = |(name, _): &(String, _)| {
        ["product.", "order.", "inventory.", "reservation.", "dataset.", "user.action"]
            .iter()
            .any(|part| name.starts_with(part))
    };
    let children = tree.children.iter().filter(|child| child.name != "wait_for_connection");
    SpanTree {
        attributes: attributes.filter(ours).collect(),
        children: children.map(outline).collect(),
        ..tree.clone()
    }
}

fn query(summary: &str) -> SpanTree {
    span(summary, SpanKind::Client)
}

fn transaction() -> SpanTree {
    span("transaction", SpanKind::Internal)
}

#[actix_web::test]
async fn a_shown_product_is_on_the_requests_span() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    app.get(&format!("/api/products/{product}")).send().await.json(200);
    assert_eq!(
        outline(&last_trace(&app, 2).await),
        span("GET /api/products/{id}", SpanKind::Server)
            .attribute("product.id", product)
            .attribute("product.found", true)
            .attribute("product.category", "lighting")
            .attribute("user.action", "view_product")
            .child(query("SELECT products stock"))
    );
}

#[actix_web::test]
async fn a_product_that_is_not_there_is_not_found_and_no_error() {
    let app = spawn_app().await;
    let unknown = Uuid::now_v7().to_string();
    app.get(&format!("/api/products/{unknown}")).send().await.assert_problem(404, "product_not_found");
    app.get("/api/products/canary").send().await.assert_problem(404, "product_not_found");
    let looked_for = span("GET /api/products/{id}", SpanKind::Server)
        .attribute("product.found", false)
        .attribute("user.action", "view_product");
    let traces = app.traces(2).await;
    assert_eq!(
        outline(&traces[0]),
        looked_for.clone().attribute("product.id", unknown).child(query("SELECT products stock"))
    );
    assert_eq!(outline(&traces[1]), looked_for);
}

/// The span of one step of an order's reservation, and its transaction of these statements.
fn step(name: &str, order: &str, statements: &[&str]) -> SpanTree {
    let statements = statements.iter().fold(transaction(), |tree, summary| tree.child(query(summary)));
    span(name, SpanKind::Internal).attribute("order.id", order.to_owned()).child(statements)
}

/// The same below its request's span.
fn settling(way: &str, order: &str, statements: &[&str]) -> SpanTree {
    let inside = step(&format!("inventory.{way}"), order, statements);
    settle_request(way).child(inside)
}

fn settle_request(way: &str) -> SpanTree {
    span(format!("POST /internal/reservations/{{order_id}}/{way}"), SpanKind::Server)
}

fn reserving(inside: SpanTree) -> SpanTree {
    span("POST /internal/reservations", SpanKind::Server).child(inside)
}

#[actix_web::test]
async fn a_reservation_is_one_transaction_of_two_statements() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    reserve(&app, &order, &product, 2).await.json(201);
    assert_eq!(
        outline(&last_trace(&app, 2).await),
        reserving(
            step("inventory.reserve", &order, &["INSERT reservations SELECT products", "UPDATE stock"])
                .attribute("order.quantity", 2_i64)
                .attribute("product.id", product)
                .attribute("inventory.available", true)
        )
    );
}

#[actix_web::test]
async fn a_reservation_of_too_much_is_a_failed_span_and_an_unfailed_request() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 1).await, new_order());
    reserve(&app, &order, &product, 2).await.assert_problem(409, "out_of_stock");
    let trace = last_trace(&app, 2).await;
    assert_eq!(
        outline(&trace),
        reserving(
            step("inventory.reserve", &order, &["INSERT reservations SELECT products", "UPDATE stock"])
                .status(Status::error("Out of stock"))
                .attribute("order.quantity", 2_i64)
                .attribute("product.id", product)
                .attribute("inventory.available", false)
        )
    );
    let transaction = &trace.children[0].children[0];
    assert_eq!(transaction.attributes["db.transaction.outcome"], "rollback".into());
}

#[actix_web::test]
async fn a_reservation_that_comes_after_the_release_is_a_failed_span() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    settle(&app, &order, "release").await.json(200);
    reserve(&app, &order, &product, 2).await.assert_problem(409, "reservation_released");
    let traces = app.traces(3).await;
    assert_eq!(outline(&traces[1]), settling("release", &order, &["INSERT reservations"]));
    assert_eq!(
        outline(&traces[2]),
        reserving(
            step(
                "inventory.reserve",
                &order,
                &["INSERT reservations SELECT products", "SELECT reservations"]
            )
            .status(Status::error("Order released"))
            .attribute("order.quantity", 2_i64)
            .attribute("product.id", product)
        )
    );
}

#[actix_web::test]
async fn a_reservation_is_ended_by_two_statements() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    let (sold, freed) = (reserved(&app, &product, 1).await, reserved(&app, &product, 1).await);
    for (order, way) in [(&sold, "commit"), (&freed, "release")] {
        for _ in 0..2 {
            settle(&app, order, way).await.json(200);
        }
    }
    let traces: Vec<_> = app.traces(7).await[3..].iter().map(outline).collect();
    assert_eq!(
        traces,
        [
            settling("commit", &sold, &["UPDATE reservations", "UPDATE stock"]),
            settling("commit", &sold, &["UPDATE reservations", "SELECT reservations"]),
            settling("release", &freed, &["INSERT reservations", "UPDATE stock"]),
            settling("release", &freed, &["INSERT reservations", "SELECT reservations"]),
        ]
    );
}

#[actix_web::test]
async fn a_reservation_that_cannot_end_this_way_is_a_failed_span() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    let (sold, freed) = (reserved(&app, &product, 1).await, reserved(&app, &product, 1).await);
    let unknown = new_order();
    settle(&app, &sold, "commit").await.json(200);
    settle(&app, &freed, "release").await.json(200);
    settle(&app, &sold, "release").await.assert_problem(409, "reservation_state");
    settle(&app, &freed, "commit").await.assert_problem(409, "reservation_state");
    settle(&app, &unknown, "commit").await.assert_problem(404, "reservation_not_found");

    let traces: Vec<_> = app.traces(8).await[5..].iter().map(outline).collect();
    let failed = |way: &str, order: &str, statement: &str, status: &'static str| {
        let inside = step(&format!("inventory.{way}"), order, &[statement, "SELECT reservations"]);
        settle_request(way).child(inside.status(Status::error(status)))
    };
    assert_eq!(
        traces,
        [
            failed("release", &sold, "INSERT reservations", "Reservation conflict"),
            failed("commit", &freed, "UPDATE reservations", "Reservation conflict"),
            failed("commit", &unknown, "UPDATE reservations", "Unknown reservation"),
        ]
    );
}

#[actix_web::test]
async fn an_import_tells_each_chunk_of_a_hundred() {
    let app = spawn_app().await;
    let rows: Vec<_> = (0..250).map(|number| lamp(&format!("LAMP-{number}"), 1)).collect();
    import(&app, &rows).await.json(201);
    let chunk = |index: i64, size: i64, processed: i64| {
        [
            KeyValue::new("chunk.index", index),
            KeyValue::new("chunk.size", size),
            KeyValue::new("total.processed", processed),
        ]
    };
    let mut statements = transaction();
    for _ in 0..3 {
        statements = statements.child(query("INSERT products")).child(query("INSERT stock"));
    }
    assert_eq!(
        outline(&last_trace(&app, 1).await),
        span("POST /internal/products/import", SpanKind::Server).child(
            span("process_dataset", SpanKind::Internal)
                .attribute("dataset.size", 250_i64)
                .attribute("dataset.processed", 250_i64)
                .event("Processing started", [])
                .event("Chunk processed", chunk(0, 100, 100))
                .event("Chunk processed", chunk(1, 100, 200))
                .event("Chunk processed", chunk(2, 50, 250))
                .event("Processing completed", [])
                .child(statements)
        )
    );
}

#[actix_web::test]
async fn an_import_of_a_taken_sku_says_so_on_its_span() {
    let app = spawn_app().await;
    stock_lamp(&app, 1).await;
    import(&app, &[lamp("LAMP-01", 1)]).await.assert_problem(409, "sku_taken");
    let trace = last_trace(&app, 2).await;
    let dataset = &trace.children[0];
    assert_eq!((dataset.name.as_str(), &dataset.status), ("process_dataset", &Status::error("SKU taken")));
    assert!(!dataset.attributes.contains_key("dataset.processed"), "{dataset:?}");
    let events: Vec<_> = dataset.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(events, ["Processing started"]);
}

#[actix_web::test]
async fn outcomes_of_reservations_are_counted_once() {
    let app = spawn_app().await;
    let (product, order) = (stock_lamp(&app, 5).await, new_order());
    for _ in 0..2 {
        reserve(&app, &order, &product, 2).await.json(201);
    }
    let (sold, freed) = (reserved(&app, &product, 1).await, reserved(&app, &product, 1).await);
    for _ in 0..2 {
        settle(&app, &sold, "commit").await.json(200);
        settle(&app, &freed, "release").await.json(200);
    }
    // Releasing what was never reserved ends no reservation.
    settle(&app, &new_order(), "release").await.json(200);
    reserve(&app, &new_order(), &product, 9).await.assert_problem(409, "out_of_stock");
    reserve(&app, &new_order(), &new_order(), 1).await.assert_problem(404, "product_not_found");

    let mut counted: Vec<_> = app
        .telemetry
        .metrics()
        .into_iter()
        .filter(|series| series.name == "inventory.reservations")
        .map(|series| (series.attributes["inventory.outcome"].to_string(), series.value, series.unit))
        .collect();
    counted.sort_by(|one, other| one.0.cmp(&other.0));
    let series = |outcome: &str, value: f64| (outcome.to_owned(), value, "{reservation}".to_owned());
    assert_eq!(
        counted,
        [
            series("committed", 1.0),
            series("out_of_stock", 1.0),
            series("released", 1.0),
            series("reserved", 3.0),
            series("unknown_product", 1.0),
        ]
    );
}

#[actix_web::test]
async fn what_a_caller_sends_wrongly_is_in_no_signal() {
    let app = spawn_app().await;
    stock_lamp(&app, 1).await;
    let mut row = lamp("canary sku", 1);
    row["name"] = json!("canary\u{7}");
    import(&app, &[row]).await.assert_problem(422, "validation_failed");
    reserve(&app, "canary", "canary", 1).await.assert_problem(400, "invalid_json");
    app.traces(3).await;
    app.telemetry.assert_absent("canary");
}
