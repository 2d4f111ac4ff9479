//! Placing and reading orders.

use serde_json::json;

use crate::harness::spawn_house;

#[actix_web::test]
async fn an_order_is_confirmed_and_can_be_read_again() {
    let house = spawn_house(10).await;
    let placed = house.place(2, "card_ok").await.json(201);
    assert_eq!(
        (&placed["status"], &placed["amount_minor"], &placed["currency"], &placed["order_type"]),
        (&json!("confirmed"), &json!(49_800), &json!("EUR"), &json!("standard"))
    );
    assert_eq!(house.find(&placed["order_id"]).await["status"], "confirmed");
    let listed = house.order.get("/api/orders?limit=1").from_user(&house.token).send().await.json(200);
    assert_eq!(listed[0]["order_id"], placed["order_id"]);
}

#[actix_web::test]
async fn another_users_order_is_as_unknown_as_none() {
    let house = spawn_house(10).await;
    let placed = house.place(1, "card_ok").await.json(201);
    let other = house.another_user().await;
    let path = format!("/api/orders/{}", placed["order_id"].as_str().unwrap());
    house.order.get(&path).from_user(&other).send().await.assert_problem(404, "order_not_found");
    let listed = house.order.get("/api/orders").from_user(&other).send().await.json(200);
    assert_eq!(listed, json!([]));
}

#[actix_web::test]
async fn orders_that_race_for_the_last_pieces_never_get_more_than_there_are() {
    let house = spawn_house(3).await;
    let orders = (0..8).map(|_| house.place(1, "card_ok"));
    let answers = futures_util::future::join_all(orders).await;
    let confirmed = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(confirmed, 3);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "out_of_stock");
    }
}

#[actix_web::test]
async fn every_mistake_of_an_order_is_named_and_no_value_repeated() {
    let house = spawn_house(1).await;
    let request = json!({
        "product_id": "4111", "quantity": 0, "payment_method": "4111111111111111", "order_type": "now",
    });
    let answer = house.order.post("/api/orders", &request).from_user(&house.token).send().await;
    let problem = answer.assert_problem(422, "validation_failed");
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["product_id", "quantity", "payment_method", "order_type"]);
    assert!(!problem.to_string().contains("4111"), "{problem}");
}

#[actix_web::test]
async fn orders_are_listed_by_status_and_by_when_they_were_placed() {
    let house = spawn_house(2).await;
    let mut ids = Vec::new();
    for (method, status) in [("card_ok", 201), ("card_declined", 402), ("card_ok", 201)] {
        ids.push(house.place(1, method).await.json(status)["order_id"].clone());
    }
    let list = async |query: &str| {
        let path = format!("/api/orders?{query}");
        let listed = house.order.get(&path).from_user(&house.token).send().await.json(200);
        listed.as_array().unwrap().iter().map(|order| order["order_id"].clone()).collect::<Vec<_>>()
    };
    let latest_first = |wanted: &[usize]| wanted.iter().map(|index| ids[*index].clone()).collect::<Vec<_>>();
    let placed = house.find(&ids[1]).await["created_at"].as_str().unwrap().to_owned();
    for (query, wanted) in [
        (String::new(), &[2, 1, 0][..]),
        ("status=confirmed".to_owned(), &[2, 0]),
        ("status=failed".to_owned(), &[1]),
        ("status=paid".to_owned(), &[]),
        ("status=confirmed&limit=1&offset=1".to_owned(), &[0]),
        (format!("placed_from={placed}"), &[2, 1]),
        (format!("placed_before={placed}"), &[0]),
        (format!("placed_from={placed}&status=confirmed"), &[2]),
        (format!("placed_from=2026-01-01T00:00:00%2B01:00&placed_before={placed}"), &[0]),
        ("placed_from=9999-01-01T00:00:00Z".to_owned(), &[]),
        ("placed_before=1970-01-01T00:00:00Z".to_owned(), &[]),
    ] {
        assert_eq!(list(&query).await, latest_first(wanted), "{query}");
    }
}

#[actix_web::test]
async fn every_mistake_of_a_list_is_named_and_unbounded_ones_are_refused() {
    let house = spawn_house(1).await;
    for (query, fields) in [
        ("limit=101&offset=-1", &["limit", "offset"][..]),
        ("status=4111", &["status"]),
        ("placed_from=4111&placed_before=0000-01-01T00:00:00Z", &["placed_from", "placed_before"]),
        ("placed_before=9999-12-31T23:59:59-01:00", &["placed_before"]),
        ("placed_from=2026-01-02T00:00:00Z&placed_before=2026-01-02T00:00:00Z", &["placed_before"]),
    ] {
        let path = format!("/api/orders?{query}");
        let answer = house.order.get(&path).from_user(&house.token).send().await;
        let problem = answer.assert_problem(422, "validation_failed");
        let errors = problem["errors"].as_array().unwrap();
        let named: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
        assert_eq!(named, fields, "{query}");
        assert!(!problem.to_string().contains("4111"), "{problem}");
    }
    let unknown = house.order.get("/api/orders?colour=red").from_user(&house.token).send().await;
    unknown.assert_problem(400, "invalid_query");
}
