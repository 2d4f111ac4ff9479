//! A service with someone in it.

use serde_json::{Value, json};
use service_kit::testing::TestApp;
use user_service::UserService;

pub(crate) const EMAIL: &str = "Ada.Lovelace@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
pub(crate) const NAME: &str = "Ada Lovelace";

pub(crate) async fn spawn_app() -> TestApp {
    TestApp::spawn::<UserService>([]).await
}

/// Registers Ada and gives what the service answered.
pub(crate) async fn register(app: &TestApp) -> Value {
    let body = json!({ "email": EMAIL, "password": PASSWORD, "name": NAME });
    app.post("/api/users/register", &body).send().await.json(201)
}

/// Logs Ada in and gives her access token.
pub(crate) async fn log_in(app: &TestApp) -> String {
    let body = json!({ "email": EMAIL, "password": PASSWORD });
    let answer = app.post("/api/users/login", &body).send().await.json(200);
    answer["access_token"].as_str().expect("a login gives an access token").to_owned()
}
