use serde_json::{Value, json};

use crate::harness::{import, lamp, spawn_app, stock_lamp};

#[actix_web::test]
async fn imported_products_have_their_ids_in_the_order_of_the_request() {
    let app = spawn_app().await;
    // More than two chunks, and not in the order of their SKUs.
    let rows: Vec<_> = (0..250).rev().map(|number| lamp(&format!("LAMP-{number:03}"), number)).collect();
    let imported = import(&app, &rows).await.json(201);
    assert_eq!(imported["imported"], 250);
    let ids = imported["product_ids"].as_array().unwrap();
    assert_eq!(ids.len(), 250);
    for index in [0, 99, 100, 249] {
        let path = format!("/api/products/{}", ids[index].as_str().unwrap());
        let product = app.get(&path).send().await.json(200);
        assert_eq!(product["sku"], rows[index]["sku"]);
        assert_eq!(product["available"], rows[index]["stock"]);
    }
}

#[actix_web::test]
async fn an_import_of_nothing_imports_nothing() {
    let app = spawn_app().await;
    assert_eq!(import(&app, &[]).await.json(201), json!({ "imported": 0, "product_ids": [] }));
}

#[actix_web::test]
async fn every_mistake_of_every_row_is_told_and_nothing_is_imported() {
    let app = spawn_app().await;
    let wrong = json!({
        "sku": "canary sku",
        "name": "canary\u{7}",
        "category": "Canary",
        "price_minor": -1,
        "currency": "canary",
        "stock": -1,
    });
    let answer = import(&app, &[lamp("LAMP-01", 1), wrong, lamp("LAMP-01", 2)]).await;
    let problem = answer.assert_problem(422, "validation_failed");
    let mistakes: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["row"].as_u64().unwrap(), error["field"].as_str().unwrap()))
        .collect();
    assert_eq!(
        mistakes,
        [
            (1, "sku"),
            (1, "name"),
            (1, "category"),
            (1, "price_minor"),
            (1, "currency"),
            (1, "stock"),
            (2, "sku"),
        ]
    );
    assert_eq!(problem["errors"][3]["detail"], "a price has 1 to 1000000000000 minor units");
    assert!(!answer.text.to_lowercase().contains("canary"), "{answer:?}");
    assert_eq!(app.get("/api/products").send().await.json(200)["products"], json!([]));
}

#[actix_web::test]
async fn a_sku_is_taken_once_and_the_rest_of_its_import_is_not_imported() {
    let app = spawn_app().await;
    stock_lamp(&app, 5).await;
    let mut rows: Vec<Value> = (0..150).map(|number| lamp(&format!("CHAIR-{number:03}"), 1)).collect();
    rows.push(lamp("LAMP-01", 9));
    let problem = import(&app, &rows).await.assert_problem(409, "sku_taken");
    assert_eq!(problem["skus"], json!(["LAMP-01"]));

    let products = app.get("/api/products").send().await.json(200);
    let products = products["products"].as_array().unwrap();
    assert_eq!(products.len(), 1, "{products:?}");
    assert_eq!((&products[0]["sku"], &products[0]["available"]), (&json!("LAMP-01"), &json!(5)));
}

#[actix_web::test]
async fn a_catalogue_may_have_a_mebibyte() {
    let app = spawn_app().await;
    let name = "x".repeat(200);
    let rows: Vec<_> = (0..3000)
        .map(|number| {
            let mut row = lamp(&format!("LAMP-{number:04}"), 1);
            row["name"] = json!(name);
            row
        })
        .collect();
    let size = serde_json::to_vec(&rows).unwrap().len();
    assert!((800 * 1024..1024 * 1024).contains(&size), "{size}");
    assert_eq!(import(&app, &rows).await.json(201)["imported"], 3000);

    let mut too_many = rows;
    too_many.extend_from_within(..1000);
    import(&app, &too_many).await.assert_problem(413, "body_too_large");
}
