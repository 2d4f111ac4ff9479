//! The shop's page as a person uses it, and what they then see in the viewer, in Debian's chromium.
//! `cargo test -p demo --test browser -- --ignored --test-threads 1`.

use std::path::PathBuf;

use browser::Browser;
use demo::parts::Part;
use demo::shop::Shop;
use demo::stage::Stage;
use demo::storefront::{Facts, Storefront};
use demo::system::{Plan, System};
use serde_json::json;
use tempfile::TempDir;

/// A system with its page, on ports of their own, and a browser beside it.
struct Demo {
    _data: TempDir,
    system: System,
    storefront: Storefront,
    shop: Shop,
}

/// What a test does with the page and the viewer.
struct Person {
    browser: Browser,
    shop: String,
    viewer: String,
}

impl Demo {
    async fn start() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let storefront = Storefront::bind(false).expect("a free port");
        let plan = Plan {
            program: PathBuf::from(env!("CARGO_BIN_EXE_demo")),
            data: data.path().to_owned(),
            database_url: None,
            default_ports: false,
            variables: vec![("CORS_ALLOWED_ORIGINS".to_owned(), storefront.origins())],
        };
        let system = System::start(plan, |_| ()).await.expect("the system starts");
        let shop = Shop::open(&system).await.expect("the shop opens");
        Self { _data: data, system, storefront, shop }
    }

    /// Runs the page for as long as the person is there.
    async fn visit(mut self, width: u32, act: impl AsyncFnOnce(&Person)) {
        let person = Person {
            browser: Browser::start(1280, 800).await,
            shop: self.storefront.url(),
            viewer: self.system.url(Part::Viewer),
        };
        person.browser.resize(width, 800).await;
        let facts = Facts::new(&self.system, &self.shop);
        let client = self.system.client().clone();
        let mut stage = Stage::new(&mut self.system, self.shop.clone());
        let desk = stage.desk();
        tokio::select! {
            ended = stage.run() => panic!("{ended:?}"),
            served = self.storefront.serve(facts, desk, client) => panic!("{served:?}"),
            () = act(&person) => {}
        }
        person.browser.close().await;
        self.system.stop().await.expect("the system stops");
    }
}

impl Person {
    async fn enter(&self) {
        self.browser.go(&self.shop).await;
        self.browser.until("document.querySelectorAll('.product').length === 12 && document.querySelectorAll('.scenario').length === 8").await;
    }

    async fn sign_in(&self) {
        self.browser.run("document.getElementById('sign-in').click()").await;
        self.browser.until("document.querySelector('.product button:not(:disabled)')").await;
    }

    /// Orders the first product.
    async fn order(&self, payment_method: &str) {
        let script = format!(
            "const form = document.querySelector('.product form'); form.elements.method.value = '{payment_method}'; \
             form.querySelector('button').click()"
        );
        self.browser.run(&script).await;
    }

    async fn until_ordered(&self, status: &str) {
        self.browser.until(&format!("document.querySelector('.order')?.dataset.status === '{status}'")).await;
    }

    async fn switch(&self, scenario: &str, on: bool) {
        self.browser.run(&format!("document.getElementById('scenario-{scenario}').click()")).await;
        self.browser
            .until(&format!(
                "document.getElementById('scenario-{scenario}').getAttribute('aria-checked') === '{on}' \
                 && !document.getElementById('scenario-{scenario}').disabled"
            ))
            .await;
    }
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn an_order_by_hand_is_one_trace_from_the_click_to_the_sql_of_four_services() {
    let visit = async |person: &Person| {
        let browser = &person.browser;
        person.enter().await;
        person.sign_in().await;
        person.order("card_ok").await;
        person.until_ordered("confirmed").await;
        let trace = browser.run("return document.querySelector('.trace-link').href").await;
        browser.go(trace.as_str().expect("a link")).await;
        browser.until("document.querySelectorAll('.legend .chip').length === 5 && [...document.querySelectorAll('.span-row')].some((row) => row.textContent.includes('INSERT orders'))").await;
        let services = browser
            .run("return [...document.querySelectorAll('.legend .chip')].map((chip) => chip.textContent).sort()")
            .await;
        assert_eq!(
            services,
            json!(["inventory-service", "order-service", "payment-service", "storefront", "user-service"])
        );
        let root = browser.run("return document.querySelector('.trace-title h1').textContent").await;
        assert!(root.as_str().is_some_and(|root| root.contains("place order")), "{root}");
        browser.run("[...document.querySelectorAll('.span-row')].find((row) => row.textContent.includes('INSERT orders')).click()").await;
        browser.until("document.querySelector('.sql')").await;
        let statement = browser.run("return document.querySelector('.sql').textContent").await;
        assert!(statement.as_str().is_some_and(|sql| sql.starts_with("INSERT INTO `orders`")), "{statement}");
    };
    Demo::start().await.visit(1280, visit).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn what_is_broken_by_a_switch_is_in_the_list_of_errors_and_whole_again_when_it_is_switched_back() {
    let visit = async |person: &Person| {
        let browser = &person.browser;
        person.enter().await;
        person.sign_in().await;
        person.switch("gateway-unreachable", true).await;
        person.order("card_ok").await;
        person.until_ordered("failed").await;
        // The event may come before the answer, which says more.
        browser
            .until(
                "document.querySelector('.order .status').textContent === 'failed: 503 payment_unavailable'",
            )
            .await;
        let trace = browser.run("return document.querySelector('.trace-link').href").await;
        let id = trace.as_str().and_then(|link| link.rsplit('/').next()).expect("a link").to_owned();
        browser.go(&format!("{}/#/traces?status=error&text={id}", person.viewer)).await;
        browser.until("document.querySelectorAll('.trace-row.failed').length === 1").await;
        let row = browser.run("return document.querySelector('.trace-row.failed').textContent").await;
        assert!(row.as_str().is_some_and(|row| row.contains("place order")), "{row}");

        person.enter().await;
        person.sign_in().await;
        person.switch("gateway-unreachable", false).await;
        person.order("card_ok").await;
        person.until_ordered("confirmed").await;
    };
    Demo::start().await.visit(1280, visit).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn an_order_s_steps_are_shown_while_it_is_on_its_way() {
    let visit = async |person: &Person| {
        person.enter().await;
        person.sign_in().await;
        person.switch("slow-gateway", true).await;
        person.order("card_ok").await;
        person.browser.until("document.querySelector('.order.streamed[data-status=reserved]')").await;
        person.until_ordered("confirmed").await;
    };
    Demo::start().await.visit(1280, visit).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn an_order_that_waits_for_its_payment_can_be_called_off() {
    let visit = async |person: &Person| {
        let browser = &person.browser;
        person.enter().await;
        person.sign_in().await;
        person.switch("slow-gateway", true).await;
        person.order("card_ok").await;
        browser.until("document.querySelector('.order.streamed[data-status=reserved] .cancel')").await;
        browser.run("document.querySelector('.order .cancel').click()").await;
        person.until_ordered("cancelled").await;
        let drawn = browser
            .run(
                "const order = document.querySelector('.order'); \
                 return [order.querySelector('.status').textContent, order.querySelectorAll('.step.failed').length, \
                 order.querySelectorAll('.cancel').length]",
            )
            .await;
        assert_eq!(drawn, json!(["cancelled", 4, 0]));
    };
    Demo::start().await.visit(1280, visit).await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_phone_and_a_keyboard_are_enough_to_order_and_every_control_has_a_name() {
    let visit = async |person: &Person| {
        let browser = &person.browser;
        person.enter().await;
        browser.run("document.getElementById('sign-in').focus()").await;
        browser.keys("\u{e007}").await;
        browser.until("document.querySelector('.product button:not(:disabled)')").await;
        browser.run("document.querySelector('.product input').focus()").await;
        // Over the card's name to the button.
        browser.keys("\u{e004}\u{e004}\u{e007}").await;
        person.until_ordered("confirmed").await;
        let fits = browser
            .run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            .await;
        assert_eq!(fits, true);
        let nameless = browser
            .run(
                "return [...document.querySelectorAll('button, a, input, select')].filter((control) => \
                 !(control.getAttribute('aria-label') || control.textContent.trim() || control.labels?.length)).length",
            )
            .await;
        assert_eq!(nameless, 0);
    };
    Demo::start().await.visit(390, visit).await;
}
