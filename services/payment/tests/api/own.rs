//! People see their own payments, and admins give money back.

use payment_service::PaymentService;
use serde_json::{Value, json};
use service_kit::testing::TestApp;
use user_service::UserService;
use uuid::Uuid;

use crate::harness::{RunningGateway, charge_request, find};

struct Person {
    id: String,
    token: String,
}

async fn person(users: &TestApp, name: &str, role: &str) -> Person {
    let (email, password) = (format!("{name}@example.com"), "a password of some length");
    let user = json!({
        "email": email, "password": password, "name": name, "role": role,
        "tenant_id": "019a0000-0000-7000-8000-000000000001",
    });
    let user = users.post("/internal/users", &user).from_service().send().await.json(201);
    let login = json!({ "email": email, "password": password });
    let login = users.post("/api/users/login", &login).send().await.json(200);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Person { id: text(&user["id"]), token: text(&login["access_token"]) }
}

/// An order that this person has asked to be charged for.
async fn charge(app: &TestApp, person: &Person, method: &str) -> String {
    let order = Uuid::now_v7();
    let request = app.post("/internal/payments", &charge_request(order, method));
    request.from_service_for(Some(&person.id)).send().await;
    order.to_string()
}

#[actix_web::test]
async fn everybody_sees_their_own_payments_and_admins_give_money_back() {
    let gateway = RunningGateway::start(0, std::time::Duration::from_secs(600));
    let users = TestApp::spawn::<UserService>([]).await;
    let (gateway_url, user_url) = (gateway.url(), format!("http://{}", users.address()));
    let app =
        TestApp::spawn::<PaymentService>([("GATEWAY_URL", &*gateway_url), ("USER_URL", &*user_url)]).await;
    let (ada, bob) = (person(&users, "ada", "customer").await, person(&users, "bob", "customer").await);
    let paid = charge(&app, &ada, "card_ok").await;
    let declined = charge(&app, &ada, "card_declined").await;
    let bobs = charge(&app, &bob, "card_ok").await;

    let list = async |person: &Person, query: &str| {
        let answer =
            app.get(&format!("/api/payments{query}")).from_user(&person.token).send().await.json(200);
        let payments = answer["payments"].as_array().unwrap();
        payments.iter().map(|payment| payment["order_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&ada, "").await, [declined.clone(), paid.clone()], "the latest first");
    assert_eq!(list(&ada, "?status=captured").await, std::slice::from_ref(&paid));
    assert_eq!(list(&ada, "?limit=1&offset=1").await, std::slice::from_ref(&paid));
    assert_eq!(list(&bob, "").await, std::slice::from_ref(&bobs));
    for wrong in ["?limit=101", "?offset=-1", "?status=cancelled"] {
        let answer = app.get(&format!("/api/payments{wrong}")).from_user(&ada.token).send().await;
        answer.assert_problem(422, "validation_failed");
    }

    let see = async |person: &Person, order: &str| {
        app.get(&format!("/api/payments/{order}")).from_user(&person.token).send().await
    };
    assert_eq!(see(&ada, &paid).await.json(200)["status"], "captured");
    see(&bob, &paid).await.assert_problem(404, "payment_not_found");

    let admin = person(&users, "grace", "admin").await;
    let refund = async |person: &Person, order: &str| {
        app.post(&format!("/api/payments/{order}/refund"), &json!({})).from_user(&person.token).send().await
    };
    refund(&ada, &paid).await.assert_problem(403, "not_an_admin");
    assert_eq!(see(&ada, &paid).await.json(200)["status"], "captured");
    for _ in 0..2 {
        assert_eq!(refund(&admin, &paid).await.json(200)["status"], "refunded");
    }
    assert_eq!(find(&app, paid.parse().unwrap()).await["status"], "refunded");
    let unknown = Uuid::now_v7();
    refund(&admin, &unknown.to_string()).await.assert_problem(404, "payment_not_found");
    let internal = app.get(&format!("/internal/payments/{unknown}")).from_service().send().await;
    internal.assert_problem(404, "payment_not_found");
}
