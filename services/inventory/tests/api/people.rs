//! A user service, and the people in it.

use inventory_service::InventoryService;
use serde_json::json;
use service_kit::testing::TestApp;
use user_service::UserService;

/// The inventory, with the user service that it asks.
pub(crate) struct House {
    pub(crate) app: TestApp,
    users: TestApp,
}

pub(crate) async fn spawn_house() -> House {
    let users = TestApp::spawn::<UserService>([]).await;
    let app =
        TestApp::spawn::<InventoryService>([("USER_URL", &*format!("http://{}", users.address()))]).await;
    House { app, users }
}

impl House {
    /// The access token of someone of this role.
    pub(crate) async fn token(&self, role: &str) -> String {
        let (email, password) = (format!("{role}@example.com"), "a password of some length");
        let user = json!({
            "email": email, "password": password, "name": "Ada", "role": role,
            "tenant_id": "019a0000-0000-7000-8000-000000000001",
        });
        self.users.post("/internal/users", &user).from_service().send().await.json(201);
        let login = json!({ "email": email, "password": password });
        let login = self.users.post("/api/users/login", &login).send().await.json(200);
        login["access_token"].as_str().expect("a token").to_owned()
    }
}
