//! Guessing passwords is slow, and tells nothing of who has an account.

use serde_json::{Value, json};
use service_kit::testing::{Answer, TestApp};
use telemetry_core::opentelemetry::trace::Status;
use user_service::UserService;

use crate::harness::{EMAIL, PASSWORD, register};

async fn try_to_log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.post("/api/users/login", &json!({ "email": email, "password": password })).send().await
}

/// What an answer tells, its trace and its seconds aside.
fn told(answer: &Answer) -> (u16, Value) {
    let mut problem: Value = serde_json::from_str(&answer.text).unwrap();
    problem["trace_id"].take();
    (answer.status, problem)
}

#[actix_web::test]
async fn an_account_takes_so_many_tries_and_tells_nobody_whether_it_exists() {
    let app = TestApp::spawn::<UserService>([("LOGIN_ATTEMPTS_PER_ACCOUNT", "3")]).await;
    register(&app).await;
    let mut courses = Vec::new();
    for email in [EMAIL, "nobody@example.com", "no address at all"] {
        let mut course = Vec::new();
        for _ in 0..5 {
            course.push(told(&try_to_log_in(&app, email, "not the password").await));
        }
        assert_eq!(course.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [401, 401, 401, 429, 429]);
        courses.push(course);
    }
    assert_eq!(courses[0], courses[1]);
    assert_eq!(courses[0], courses[2]);

    // Neither does the right password, in whatever case the address is written.
    let refused = try_to_log_in(&app, &EMAIL.to_uppercase(), PASSWORD).await;
    refused.assert_problem(429, "too_many_attempts");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn an_address_takes_so_many_tries_at_whatever_account_and_registrations_too() {
    let app = TestApp::spawn::<UserService>([("LOGIN_ATTEMPTS_PER_ADDRESS", "4")]).await;
    register(&app).await;
    for number in 0..3 {
        let email = format!("guess{number}@example.com");
        try_to_log_in(&app, &email, PASSWORD).await.assert_problem(401, "invalid_credentials");
    }
    try_to_log_in(&app, EMAIL, PASSWORD).await.assert_problem(429, "too_many_attempts");
    let account = json!({ "email": "eve@example.com", "password": PASSWORD, "name": "Eve" });
    let answer = app.post("/api/users/register", &account).send().await;
    answer.assert_problem(429, "too_many_attempts");
    assert_ne!(answer.header("retry-after"), "");
}

#[actix_web::test]
async fn nobody_escapes_by_naming_another_address() {
    let app = TestApp::spawn::<UserService>([("LOGIN_ATTEMPTS_PER_ADDRESS", "1")]).await;
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    let mut statuses = Vec::new();
    for number in 1..4 {
        let request = app.post("/api/users/login", &body);
        let named = format!("192.0.2.{number}");
        let answer = request.with(|request| request.header("x-forwarded-for", named)).send().await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [401, 429, 429]);
}

#[actix_web::test]
async fn refused_tries_are_counted_and_told_on_their_spans() {
    let app = TestApp::spawn::<UserService>([("LOGIN_ATTEMPTS_PER_ACCOUNT", "1")]).await;
    for _ in 0..3 {
        try_to_log_in(&app, EMAIL, PASSWORD).await;
    }
    let traces = app.traces(3).await;
    let login = &traces[2].children[0];
    assert_eq!(login.name, "user.login");
    assert_eq!(login.status, Status::error("Too many tries"));
    assert_eq!(login.attributes["throttle.scope"], "account".into());
    assert_eq!(login.attributes["auth.success"], false.into());
    assert!(login.children.is_empty(), "no password is looked up: {login:?}");
    let throttled = app.telemetry.metric("user.attempts.throttled").with("throttle.scope", "account");
    assert_eq!(throttled.value(), 2.0);
}
