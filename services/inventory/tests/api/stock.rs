//! What the tables themselves refuse, whatever the code does.

use diesel::RunQueryDsl;
use service_kit::db::Connection;

use crate::harness::{available, reserved, spawn_app, stock_lamp};

#[actix_web::test]
async fn the_database_refuses_stock_below_zero() {
    let app = spawn_app().await;
    let product = stock_lamp(&app, 5).await;
    reserved(&app, &product, 2).await;
    let mut connection = Connection::open(&app.database.url().parse().unwrap()).unwrap();
    let mut execute = |sql: &str| diesel::sql_query(sql).execute(&mut connection);
    for wrong in [
        "UPDATE stock SET on_hand = -1",
        "UPDATE stock SET on_hand = 1",
        "UPDATE stock SET reserved = 6",
        "UPDATE stock SET reserved = -1",
        "UPDATE reservations SET quantity = 0",
        "UPDATE reservations SET state = 'sold'",
        "UPDATE products SET price_minor = -1",
    ] {
        let refused = execute(wrong).unwrap_err().to_string();
        assert!(refused.to_lowercase().contains("check constraint"), "{wrong}: {refused}");
    }
    assert_eq!(execute("UPDATE stock SET on_hand = 2"), Ok(1));
    assert_eq!(available(&app, &product).await, 0);
}
