//! What people type in appears in no signal: not in a span, a log record or a metric, and not in what
//! the processes print.

use demo::parts::Part;
use demo::shop::Inside;
use serde_json::json;

use crate::harness::{Backend, TestSystem, on_both_databases, run};

on_both_databases! {
    no_password_token_card_number_or_address_stands_in_any_signal
}

const EMAIL: &str = "canary.ada@example.org";
const NAME: &str = "Canary Lovelace";
const PASSWORD: &str = "canary-password-5b1d";
const CARD: &str = "4111111111111111";

async fn no_password_token_card_number_or_address_stands_in_any_signal(backend: Backend) {
    let test = TestSystem::start(backend).await;
    let (client, url) =
        (test.system.client().clone(), |part, path: &str| format!("{}{path}", test.system.url(part)));
    let post = |part, path: &str, body: serde_json::Value| {
        let request = client.post(url(part, path)).json(&body);
        async move { request.send().await.expect("an answer") }
    };

    // Good and bad, to every endpoint that takes what a person types.
    let registration = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
    assert_eq!(post(Part::User, "/api/users/register", registration.clone()).await.status(), 201);
    assert_eq!(post(Part::User, "/api/users/register", registration).await.status(), 409);
    let misplaced = json!({ "email": PASSWORD, "password": [PASSWORD], "name": EMAIL });
    assert_eq!(post(Part::User, "/api/users/register", misplaced).await.status(), 400);
    let wrong = json!({ "email": EMAIL, "password": format!("{PASSWORD}!") });
    assert_eq!(post(Part::User, "/api/users/login", wrong).await.status(), 401);
    let token = test.shop.sign_in(EMAIL, PASSWORD).await.unwrap();
    Inside::new(&test.system).make_user(&format!("second.{EMAIL}"), PASSWORD).await.unwrap();

    let secrets = format!("?token={token}&password={PASSWORD}&email={EMAIL}&card_number={CARD}");
    for part in [Part::User, Part::Inventory, Part::Payment, Part::Order] {
        for path in ["/", "/api/users/me", "/api/orders", "/nowhere"] {
            let request = client.get(url(part, &format!("{path}{secrets}"))).bearer_auth(&token);
            request.header("cookie", format!("session={token}")).send().await.unwrap();
        }
    }
    let shop = test.shop.with_access_token(&token);
    let mut last = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(last.status, 201);
    for order in [
        json!({ "product_id": shop.in_stock().id, "quantity": 1, "payment_method": CARD }),
        json!({ "product_id": CARD, "quantity": EMAIL, "payment_method": PASSWORD, "order_type": EMAIL }),
        json!({ CARD: CARD, PASSWORD: EMAIL }),
    ] {
        last = shop.send(&order).await.unwrap();
        assert!(last.status.is_client_error(), "{}", last.body);
    }
    let shop = test.shop.with_access_token(&format!("{token}x"));
    last = shop.order(shop.in_stock(), "card_ok").await.unwrap();
    assert_eq!(last.status, 401);

    // Stopping the services flushes what they still have; the viewer stays to be asked.
    let (traces, trace_id) = (test.traces.clone(), last.trace_id);
    let mut system = test.system;
    let mut printed = String::new();
    for part in [Part::Order, Part::Payment, Part::Inventory, Part::User] {
        printed += &system.process(part).unwrap().printed();
        system.stop_one(part).await.unwrap();
    }
    assert!(traces.find(trace_id).await.unwrap().is_some(), "the last trace has arrived");

    let viewer = system.url(Part::Viewer);
    let read = |path: String| {
        let request = client.get(format!("{viewer}{path}"));
        async move { request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap() }
    };
    let mut signals = vec![
        ("logs", read("/api/logs".to_owned()).await),
        ("metrics", read("/api/metrics".to_owned()).await),
        ("what the processes print", printed),
    ];
    let list = traces.changed(None).await.unwrap();
    assert!(list.traces.len() > 20, "only {} traces", list.traces.len());
    for trace in &list.traces {
        signals.push(("traces", read(format!("/api/traces/{}", trace.trace_id)).await));
    }
    let signature = token.rsplit('.').next().unwrap();
    for (signal, text) in &signals {
        for canary in [EMAIL, NAME, PASSWORD, CARD, signature] {
            assert!(!text.contains(canary), "{canary} stands in {signal}: {}", around(text, canary));
        }
    }
    system.stop().await.unwrap();
}

fn around<'a>(text: &'a str, canary: &str) -> &'a str {
    let at = text.find(canary).unwrap_or_default();
    let start = text.floor_char_boundary(at.saturating_sub(300));
    &text[start..text.ceil_char_boundary((at + 300).min(text.len()))]
}
