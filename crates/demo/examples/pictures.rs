//! Takes the pictures of the documentation: `cargo build -p demo && cargo run -p demo --example pictures`.
//!
//! They are of a system that runs: each scenario is switched on, and what then arrives in the viewer is shown in
//! chromium (Debian's `chromium` and `chromium-driver`). A name as argument takes those of one scenario alone, and
//! `page` those that are of none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use browser::Browser;
use demo::parts::Part;
use demo::scenarios::Scenario;
use demo::shop::Shop;
use demo::stage::{Desk, Stage};
use demo::storefront::{Facts, Storefront};
use demo::system::{Plan, System};
use serde_json::Value;

const DESKTOP: (u32, u32) = (1280, 760);
const PHONE: (u32, u32) = (390, 844);

/// How long what a picture is to show may take to arrive.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let only = std::env::args().nth(1);
    let examples = std::env::current_exe()?;
    let program = examples.parent().and_then(Path::parent).context("finding the demo")?.join("demo");
    ensure!(program.exists(), "{} is not there: cargo build -p demo", program.display());
    let data = tempfile::tempdir()?;
    let storefront = Storefront::bind(false)?;
    let variables = vec![
        ("CORS_ALLOWED_ORIGINS".to_owned(), storefront.origins()),
        // What one picture shows must be there for the next.
        ("VIEWER_MAX_TRACES_MIB".to_owned(), "128".to_owned()),
    ];
    let plan =
        Plan { program, data: data.path().to_owned(), database_url: None, default_ports: false, variables };
    let mut system = System::start(plan, |_| ()).await?;
    let shop = Shop::open(&system).await?;
    let camera = Camera {
        browser: Browser::start(DESKTOP.0, DESKTOP.1).await,
        viewer: system.url(Part::Viewer),
        shop_page: storefront.url(),
        client: system.client().clone(),
        docs: PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")),
    };
    let (facts, client) = (Facts::new(&system, &shop), system.client().clone());
    let mut stage = Stage::new(&mut system, shop.clone());
    let desk = stage.desk();
    let result = tokio::select! {
        ended = stage.run() => match ended? {},
        served = storefront.serve(facts, desk.clone(), client) => served,
        taken = take_all(&camera, &desk, &shop, only.as_deref()) => taken,
    };
    camera.browser.close().await;
    system.stop().await?;
    result
}

async fn take_all(camera: &Camera, desk: &Desk, shop: &Shop, only: Option<&str>) -> anyhow::Result<()> {
    for scenario in Scenario::ALL {
        if only.is_none_or(|name| name == scenario.name()) {
            desk.switch(scenario, true).await?;
            take_scenario(camera, desk, shop, scenario).await.with_context(|| scenario.name())?;
            desk.switch(scenario, false).await?;
        }
    }
    if only.is_none_or(|name| name == "page") {
        take_pages(camera, desk, shop).await?;
    }
    Ok(())
}

async fn take_scenario(camera: &Camera, desk: &Desk, shop: &Shop, scenario: Scenario) -> anyhow::Result<()> {
    camera.look(DESKTOP, "light").await;
    match scenario {
        Scenario::PaymentDeclines => {
            let trace = camera.find("status=error&attribute=http.response.status_code%3D402", 1).await?;
            camera.open_span(&trace, "POST /charges").await?;
        }
        Scenario::SlowGateway => {
            let trace = camera.find("min_ms=3000&service=payment-service", 1).await?;
            camera.open_span(&trace, "POST /charges").await?;
        }
        Scenario::GatewayUnreachable => {
            camera.find("status=error&attribute=http.response.status_code%3D503", 12).await?;
            camera.open("#/map").await;
            camera.browser.until("document.querySelectorAll('.map .edge.failing').length > 0").await;
        }
        Scenario::InventoryDown => {
            let placed = shop.order(shop.in_stock(), "card_ok").await?;
            let trace = camera.find(&format!("text={}", placed.trace_id), 1).await?;
            camera.open_span(&trace, "POST /internal/reservations").await?;
        }
        Scenario::HotProduct => {
            camera.find("status=error&attribute=http.response.status_code%3D409", 8).await?;
            camera.open("#/traces?service=inventory-service").await;
            camera.rows(20).await;
        }
        Scenario::NPlusOne => {
            let trace = camera.find("text=GET%20/api/products", 1).await?;
            camera.open_span(&trace, "GET /api/products").await?;
        }
        Scenario::TelemetryDown => {
            // Orders go on for a while, and what they leave is sent when there is somebody to take it.
            tokio::time::sleep(Duration::from_secs(5)).await;
            desk.switch(scenario, false).await?;
            camera.find("service=payment-service", 8).await?;
            camera.open("#/traces").await;
            camera.rows(8).await;
        }
        Scenario::RetryStorm => {
            let trace = camera.find("attribute=http.request.resend_count&service=order-service", 1).await?;
            camera.open_span(&trace, "POST /internal/reservations").await?;
        }
    }
    camera.take(&format!("scenarios/{}.png", scenario.name())).await
}

/// Pages that are of no scenario: an order that fails, on every kind of screen, and the views over all.
async fn take_pages(camera: &Camera, desk: &Desk, shop: &Shop) -> anyhow::Result<()> {
    // Something to see over time: well, then worse, then well again.
    desk.switch(Scenario::PaymentDeclines, true).await?;
    desk.switch(Scenario::NPlusOne, true).await?;
    tokio::time::sleep(Duration::from_secs(25)).await;
    let placed = shop.order(shop.in_stock(), "card_declined").await?;
    let trace = placed.trace_id.to_string();
    camera.find(&format!("text={trace}"), 1).await?;
    for (scheme, screen, name) in [
        ("light", DESKTOP, "trace.png"),
        ("dark", DESKTOP, "trace-dark.png"),
        ("light", PHONE, "trace-phone.png"),
        ("dark", PHONE, "trace-phone-dark.png"),
    ] {
        camera.look(screen, scheme).await;
        if screen == PHONE {
            camera.open(&format!("#/traces/{trace}")).await;
            camera.browser.until("document.querySelectorAll('.span-row').length > 5").await;
        } else {
            camera.open_span(&trace, "POST /charges").await?;
        }
        camera.take(&format!("pictures/{name}")).await?;
    }
    for (view, ready, name) in [
        ("#/traces", "document.querySelectorAll('.trace-row').length > 5", "traces"),
        ("#/map", "document.querySelectorAll('.map .edge').length > 3", "map"),
        ("#/metrics", "document.querySelectorAll('.plot canvas').length > 3", "metrics"),
        ("#/logs", "document.querySelectorAll('.log-row').length > 5", "logs"),
    ] {
        for (scheme, screen, suffix) in [("light", DESKTOP, ""), ("dark", PHONE, "-phone-dark")] {
            camera.look(screen, scheme).await;
            camera.open(view).await;
            camera.browser.until(ready).await;
            camera.take(&format!("pictures/{name}{suffix}.png")).await?;
        }
    }
    desk.switch(Scenario::NPlusOne, false).await?;
    for (scheme, screen, name) in [
        ("light", DESKTOP, "shop.png"),
        ("light", PHONE, "shop-phone.png"),
        ("dark", PHONE, "shop-phone-dark.png"),
    ] {
        camera.look(screen, scheme).await;
        camera.order_by_hand().await;
        camera.take(&format!("pictures/{name}")).await?;
    }
    desk.switch(Scenario::PaymentDeclines, false).await
}

struct Camera {
    browser: Browser,
    viewer: String,
    shop_page: String,
    client: reqwest::Client,
    docs: PathBuf,
}

impl Camera {
    async fn look(&self, (width, height): (u32, u32), scheme: &str) {
        self.browser.resize(width, height).await;
        self.browser.prefer_colours(scheme).await;
    }

    /// Opens a view of the viewer's page, anew.
    async fn open(&self, view: &str) {
        self.browser.go("about:blank").await;
        self.browser.go(&format!("{}/{view}", self.viewer)).await;
        self.browser.until("document.getElementById('held')?.textContent.includes('held')").await;
    }

    async fn rows(&self, at_least: usize) {
        self.browser.until(&format!("document.querySelectorAll('.trace-row').length > {at_least}")).await;
    }

    /// Opens a trace with the details of its last span of this name that failed, or else of the last one.
    async fn open_span(&self, trace: &str, name: &str) -> anyhow::Result<()> {
        let document: Value = self.read(&format!("/api/traces/{trace}")).await?;
        let spans = document["spans"].as_array().context("a trace has spans")?;
        let named = || spans.iter().filter(|span| span["name"] == name && span["kind"] != "server");
        let failed = named().rfind(|span| span["status"]["code"] == "error");
        let span =
            failed.or_else(|| named().next_back()).or_else(|| spans.iter().find(|span| span["name"] == name));
        let id = span.and_then(|span| span["span_id"].as_str()).context("no such span")?;
        self.open(&format!("#/traces/{trace}?span={id}")).await;
        self.browser.until("document.querySelector('.panel h2')").await;
        Ok(())
    }

    /// The newest trace that matches, once there are so many that are whole.
    async fn find(&self, query: &str, at_least: usize) -> anyhow::Result<String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            // The viewer may be starting.
            if let Ok(list) = self.read(&format!("/api/traces?limit=100&{query}")).await {
                let whole = list["traces"].as_array().context("a list")?.iter();
                let whole: Vec<&Value> = whole.filter(|trace| trace["complete"] == true).collect();
                // One that arrived a moment ago may be whole by chance: the second newest has settled.
                if let Some(trace) = whole.get(1).or(whole.first())
                    && whole.len() >= at_least
                {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    return Ok(trace["trace_id"].as_str().context("an id")?.to_owned());
                }
            }
            ensure!(tokio::time::Instant::now() < deadline, "no trace matches {query}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn read(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.client.get(format!("{}{path}", self.viewer)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Signs in on the shop's page, and orders two things.
    async fn order_by_hand(&self) {
        let browser = &self.browser;
        browser.go("about:blank").await;
        browser.go(&self.shop_page).await;
        browser
            .until(
                "document.querySelectorAll('.product').length > 5 && document.querySelector('.scenario.on')",
            )
            .await;
        browser.run("document.getElementById('sign-in').click()").await;
        browser.until("document.querySelector('.product button:not(:disabled)')").await;
        for (product, method) in [(0, "card_ok"), (1, "card_declined")] {
            browser
                .run(&format!(
                    "const form = document.querySelectorAll('.product form')[{product}]; form.elements.method.value = '{method}'; form.requestSubmit()"
                ))
                .await;
            browser
                .until("['confirmed', 'failed'].includes(document.querySelector('.order')?.dataset.status)")
                .await;
        }
    }

    async fn take(&self, name: &str) -> anyhow::Result<()> {
        // Fonts, plots and the panel's entrance.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let picture = self.browser.picture().await;
        let path = self.docs.join(name);
        println!("{name}: {} kB", picture.len() / 1000);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(&path, picture).with_context(|| format!("writing {}", path.display()))
    }
}
