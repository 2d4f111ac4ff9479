//! Reservations that nobody bought in time.

use std::time::{Duration, Instant};

use inventory_service::InventoryService;
use service_kit::testing::TestApp;

use crate::harness::{available, reserve, reserved, settle, stock_lamp};

/// A service where reservations last a tenth of a second.
async fn hasty() -> TestApp {
    let variables = [("RESERVATION_TIMEOUT_MS", "100"), ("RESERVATION_SWEEP_INTERVAL_MS", "10")];
    TestApp::spawn::<InventoryService>(variables).await
}

async fn wait_until_available(app: &TestApp, product: &str, pieces: i64) {
    let start = Instant::now();
    while available(app, product).await != pieces {
        assert!(start.elapsed() < Duration::from_secs(60), "the stock was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn what_nobody_buys_in_time_others_can_order_and_the_trace_links_to_the_one_that_reserved() {
    let app = hasty().await;
    let product = stock_lamp(&app, 5).await;
    let order = reserved(&app, &product, 2).await;
    wait_until_available(&app, &product, 5).await;

    // A late commit is refused, and so is a late repetition of the reservation; a release has happened already.
    let problem = settle(&app, &order, "commit").await.assert_problem(409, "reservation_state");
    assert_eq!(problem["state"], "released");
    reserve(&app, &order, &product, 2).await.assert_problem(409, "reservation_released");
    settle(&app, &order, "release").await.json(200);
    assert_eq!(available(&app, &product).await, 5);

    let spans = app.telemetry.spans();
    let reserve = spans.iter().find(|span| span.name == "inventory.reserve").expect("it was reserved");
    let start = Instant::now();
    let expire = loop {
        let spans = app.telemetry.spans();
        if let Some(span) = spans.into_iter().find(|span| span.name == "expire_reservation") {
            break span;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "its span does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_ne!(expire.span_context.trace_id(), reserve.span_context.trace_id());
    let links: Vec<_> = expire.links.iter().map(|link| link.span_context.trace_id()).collect();
    assert_eq!(links, [reserve.span_context.trace_id()]);
}

#[actix_web::test]
async fn what_is_bought_in_time_stays_bought() {
    let app = hasty().await;
    let product = stock_lamp(&app, 5).await;
    let order = reserved(&app, &product, 2).await;
    settle(&app, &order, "commit").await.json(200);
    // One that times out shows that the others were looked at, too.
    reserved(&app, &product, 1).await;
    wait_until_available(&app, &product, 3).await;
    settle(&app, &order, "commit").await.json(200);
    assert_eq!(available(&app, &product).await, 3);
}

#[actix_web::test]
async fn commits_that_race_with_the_time_out_are_either_kept_or_refused() {
    let variables = [("RESERVATION_TIMEOUT_MS", "100"), ("RESERVATION_SWEEP_INTERVAL_MS", "10")];
    let app = TestApp::spawn::<InventoryService>(variables).await;
    // A second replica looks at the same rows.
    let other = TestApp::spawn::<InventoryService>(
        variables.into_iter().chain([("DATABASE_URL", app.database.url())]),
    )
    .await;
    let product = stock_lamp(&app, 100).await;
    let mut sold = 0;
    for round in 0..20 {
        let order = reserved(&app, &product, 1).await;
        tokio::time::sleep(Duration::from_millis(90 + round)).await;
        let answer = settle(if round % 2 == 0 { &app } else { &other }, &order, "commit").await;
        match answer.status {
            200 => sold += 1,
            _ => drop(answer.assert_problem(409, "reservation_state")),
        }
    }
    wait_until_available(&app, &product, 100 - sold).await;
}
