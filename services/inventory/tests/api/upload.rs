//! Uploading a catalogue as CSV and as JSON lines.

use reqwest::Method;
use serde_json::json;
use service_kit::testing::Answer;
use telemetry_core::opentelemetry::Value;

use crate::harness::lamp;
use crate::people::{House, spawn_house};

const HEADER: &str = "sku,name,category,price_minor,currency,stock\n";

async fn upload(
    house: &House,
    token: &str,
    query: &str,
    media_type: &str,
    body: impl Into<String>,
) -> Answer {
    let request = house.app.request(Method::POST, &format!("/api/products/import{query}"));
    let body = body.into();
    request
        .with(|request| request.header("content-type", media_type).body(body))
        .from_user(token)
        .send()
        .await
}

async fn count(house: &House) -> usize {
    let listed = house.app.get("/api/products?limit=100").send().await.json(200);
    listed["products"].as_array().unwrap().len()
}

#[actix_web::test]
async fn csv_and_json_lines_are_imported_alike() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    let csv = format!(
        "{HEADER}LAMP-01,\"Lamp, \"\"big\"\"\nand bright\",lighting,4900,EUR,3\r\nLAMP-02, Lamp ,lighting,100,EUR,0\n"
    );
    // A line break is a control character, also between quotes.
    upload(&house, &admin, "", "text/csv", csv.clone()).await.assert_problem(422, "validation_failed");
    let csv = csv.replace("\nand", " and");
    let answer = upload(&house, &admin, "", "text/csv; charset=utf-8", csv).await.json(200);
    assert_eq!(answer, json!({ "imported": 2, "rejected": 0, "errors": [] }));
    let lines = format!("{}\n\n{}", lamp("LAMP-03", 1), lamp("LAMP-04", 2));
    let answer = upload(&house, &admin, "", "application/x-ndjson", lines).await.json(200);
    assert_eq!(answer["imported"], 2);
    let lamp = &house.app.get("/api/products?sku=LAMP-01").send().await.json(200)["products"][0];
    assert_eq!(lamp["name"], "Lamp, \"big\" and bright");
}

#[actix_web::test]
async fn all_rows_are_imported_or_none_and_every_mistake_is_told() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    let csv = format!(
        "{HEADER}LAMP-01,Lamp,lighting,4900,EUR,3\nLAMP 02,,Light,0,eur,-1\nLAMP-01,Lamp,lighting,1,EUR,1\nLAMP-04,Lamp,lighting,dear,EUR,1\n"
    );
    let problem = upload(&house, &admin, "", "text/csv", csv).await.assert_problem(422, "validation_failed");
    let errors: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| json!([error["row"], error["field"]]))
        .collect();
    let expected = json!([
        [2, "sku"],
        [2, "name"],
        [2, "category"],
        [2, "price_minor"],
        [2, "currency"],
        [2, "stock"],
        [3, "sku"],
        [4, ""],
    ]);
    let mut sorted = errors.clone();
    sorted.sort_by_key(|error| error[0].as_u64());
    assert_eq!(json!(sorted), expected);
    assert_eq!(problem["rejected"], 3);
    assert_eq!(count(&house).await, 0);
    let good = format!("{HEADER}LAMP-01,Lamp,lighting,4900,EUR,3\n");
    upload(&house, &admin, "?on_error=abort", "text/csv", good.clone()).await.json(200);
    let again = format!("{good}LAMP-09,Lamp,lighting,4900,EUR,3\n");
    let taken = upload(&house, &admin, "", "text/csv", again).await.assert_problem(409, "sku_taken");
    assert_eq!(taken["skus"], json!(["LAMP-01"]));
    assert_eq!(count(&house).await, 1);
}

#[actix_web::test]
async fn with_skip_each_row_is_imported_by_itself_in_chunks_that_the_trace_tells() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    upload(&house, &admin, "", "text/csv", format!("{HEADER}LAMP-7,Lamp,lighting,4900,EUR,3\n"))
        .await
        .json(200);
    let mut csv = HEADER.to_owned();
    for number in 1..=250 {
        // Of these the seventh is there, the tenth is the ninth again, and the twentieth costs nothing.
        let sku = if number == 10 { 9 } else { number };
        let price = if number == 20 { 0 } else { 4900 };
        csv += &format!("LAMP-{sku},Lamp,lighting,{price},EUR,1\n");
    }
    let answer = upload(&house, &admin, "?on_error=skip", "text/csv", csv).await.json(200);
    assert_eq!((&answer["imported"], &answer["rejected"]), (&json!(247), &json!(3)));
    let told: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| json!([error["row"], error["field"]]))
        .collect();
    assert_eq!(json!(told), json!([[7, "sku"], [10, "sku"], [20, "price_minor"]]));

    let traces = house.app.traces(2).await;
    let dataset =
        traces[1].children.iter().find(|span| span.name == "process_dataset").expect("the import's span");
    let events: Vec<_> = dataset.events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        events,
        [
            "Processing started",
            "Chunk processed",
            "Chunk processed",
            "Chunk processed",
            "Processing completed"
        ]
    );
    assert_eq!(dataset.attributes["dataset.processed"], Value::I64(247));
    assert_eq!(dataset.attributes["dataset.size"], Value::I64(249));
}

#[actix_web::test]
async fn what_is_no_catalogue_is_refused() {
    let house = spawn_house().await;
    let admin = house.token("admin").await;
    for (media_type, body, status, code) in [
        ("application/json", "[]".to_owned(), 415, "unsupported_media_type"),
        ("application/x-ndjson", "x".repeat(17_000), 400, "invalid_body"),
        ("application/x-ndjson", "[1,2]".to_owned(), 422, "validation_failed"),
        ("text/csv", "a,b\n1,2\n".to_owned(), 422, "validation_failed"),
        ("text/csv", format!("{HEADER}\u{0}\n"), 422, "validation_failed"),
        ("text/csv", " ".repeat(17 * 1024 * 1024), 413, "body_too_large"),
    ] {
        for query in ["", "?on_error=skip"] {
            let answer = upload(&house, &admin, query, media_type, body.clone()).await;
            if query.is_empty() || status != 422 {
                answer.assert_problem(status, code);
            } else {
                assert_eq!(answer.json(200)["imported"], 0);
            }
        }
    }
    upload(&house, &admin, "?on_error=never", "text/csv", HEADER).await.assert_problem(400, "invalid_query");
    assert_eq!(upload(&house, &admin, "", "text/csv", "").await.json(200)["imported"], 0);
    assert_eq!(count(&house).await, 0);
}
