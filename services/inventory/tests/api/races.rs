//! What happens at the same time, in one process and in two on the same database.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use inventory_service::InventoryService;
use service_kit::testing::TestApp;

use crate::harness::{available, import, lamp, new_order, reserve, reserved, settle, spawn_app, stock_lamp};

/// Two services on one database.
async fn spawn_two() -> [TestApp; 2] {
    let one = spawn_app().await;
    let other = TestApp::spawn::<InventoryService>([("DATABASE_URL", one.database.url())]).await;
    [one, other]
}

/// How often each status was the answer.
fn tally(statuses: impl IntoIterator<Item = u16>) -> BTreeMap<u16, usize> {
    let mut tally = BTreeMap::new();
    for status in statuses {
        *tally.entry(status).or_default() += 1;
    }
    tally
}

#[actix_web::test]
async fn racing_orders_never_take_more_than_there_is() {
    let apps = spawn_two().await;
    let product = stock_lamp(&apps[0], 10).await;
    let race = (0..40).map(|number| {
        let (app, product) = (&apps[number % 2], &product);
        async move { reserve(app, &new_order(), product, 1).await.status }
    });
    assert_eq!(tally(join_all(race).await), BTreeMap::from([(201, 10), (409, 30)]));
    assert_eq!(available(&apps[0], &product).await, 0);
}

#[actix_web::test]
async fn one_order_that_asks_many_times_at_once_reserves_once() {
    let apps = spawn_two().await;
    let (product, order) = (stock_lamp(&apps[0], 10).await, new_order());
    let race = (0..20).map(|number| reserve(&apps[number % 2], &order, &product, 3));
    let answers: Vec<_> = join_all(race).await.iter().map(|answer| answer.json(201)).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(available(&apps[0], &product).await, 7);
}

#[actix_web::test]
async fn a_reservation_that_is_committed_and_released_at_once_ends_one_way() {
    let apps = spawn_two().await;
    let product = stock_lamp(&apps[0], 10).await;
    let mut left = 10;
    for _ in 0..5 {
        let reservation = reserved(&apps[0], &product, 1).await;
        let race = (0..8).map(|number| {
            let (app, reservation) = (&apps[number % 2], &reservation);
            let step = if number % 4 < 2 { "commit" } else { "release" };
            async move { (step, settle(app, reservation, step).await.status) }
        });
        let answers = join_all(race).await;
        assert_eq!(tally(answers.iter().map(|(_, status)| *status)), BTreeMap::from([(200, 4), (409, 4)]));
        let (way, _) = answers.iter().find(|(_, status)| *status == 200).unwrap();
        assert!(answers.iter().all(|(step, status)| (step == way) == (*status == 200)), "{answers:?}");
        left -= i64::from(*way == "commit");
        assert_eq!(available(&apps[0], &product).await, left);
    }
}

#[actix_web::test]
async fn of_racing_imports_of_the_same_products_one_wins() {
    let apps = spawn_two().await;
    let rows: Vec<_> = (0..120).map(|number| lamp(&format!("LAMP-{number:03}"), 1)).collect();
    let backwards: Vec<_> = rows.iter().rev().cloned().collect();
    let race =
        (0..6).map(|number| import(&apps[number % 2], if number % 3 == 0 { &rows } else { &backwards }));
    let answers = join_all(race).await;
    assert_eq!(tally(answers.iter().map(|answer| answer.status)), BTreeMap::from([(201, 1), (409, 5)]));
    for answer in answers.iter().filter(|answer| answer.status == 409) {
        let problem = answer.assert_problem(409, "sku_taken");
        assert_eq!(problem["skus"].as_array().unwrap().len(), 120);
    }
}
