//! The page as a person uses it, in Debian's chromium. `cargo test -p trace-viewer --test browser -- --ignored`.

mod telemetry;

use browser::Browser;
use reqwest::{Client, StatusCode};
use serde_json::json;
use trace_viewer::{Limits, Options, Running, Viewer};

use self::telemetry::{HOSTILE, declined_order, hostile, many, wide};

const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
const DOWN: &str = "\u{e015}";
const LEFT: &str = "\u{e012}";

/// A viewer, and someone who sends to it.
struct Sent {
    viewer: Running,
    client: Client,
}

impl Sent {
    fn start(limits: Limits) -> Self {
        let options = Options { address: "127.0.0.1:0".parse().unwrap(), limits, ..Options::default() };
        // No test speaks TLS, but a client is not built without it. Only the first call can succeed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { viewer: Viewer::bind(options).unwrap().start().unwrap(), client }
    }

    async fn send(&self, body: Vec<u8>) {
        let request = self.client.post(format!("{}/v1/traces", self.viewer.url()));
        let response =
            request.header("content-type", "application/x-protobuf").body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }

    async fn send_metrics(&self, json: &serde_json::Value) {
        let request = self.client.post(format!("{}/v1/metrics", self.viewer.url()));
        assert_eq!(request.json(json).send().await.unwrap().status(), StatusCode::OK);
    }

    async fn open(&self, browser: &Browser, path: &str) {
        browser.go(&format!("{}/{path}", self.viewer.url())).await;
    }
}

/// How long so many requests of a route had taken by then, one of them less than 100 ms.
fn durations(seconds_ago: u64, count: u64) -> serde_json::Value {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds_ago);
    let then = then.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({ "resourceMetrics": [{
        "resource": { "attributes": [text("service.name", "inventory-service")] },
        "scopeMetrics": [{ "metrics": [{
            "name": "http.server.request.duration", "unit": "s",
            "histogram": { "aggregationTemporality": 2, "dataPoints": [{
                "timeUnixNano": then.to_string(), "startTimeUnixNano": "1", "count": count.to_string(), "sum": 0.3,
                "bucketCounts": ["1", (count - 1).to_string()], "explicitBounds": [0.1],
                "attributes": [
                    text("http.request.method", "POST"),
                    text("http.route", "/internal/reservations/{order_id}/release"),
                ],
            }] },
        }] }],
    }] })
}

const ROWS: &str = "document.querySelectorAll('.trace-row.row:not(.row-head)')";

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_trace_is_found_by_filter_and_tells_its_services_its_sql_and_its_failure() {
    let sent = Sent::start(Limits::default());
    sent.send(many(100, 20)).await;
    sent.send(declined_order(1)).await;
    let browser = Browser::start(1280, 800).await;
    sent.open(&browser, "").await;
    browser.until(&format!("{ROWS}.length === 21")).await;

    browser.run("document.querySelector('[name=status]').value = 'error'; document.querySelector('[name=status]').dispatchEvent(new Event('input', { bubbles: true }))").await;
    browser.until(&format!("{ROWS}.length === 1 && location.hash.includes('status=error')")).await;
    browser.run(&format!("{ROWS}[0].click()")).await;
    browser.until("document.querySelectorAll('.span-row').length === 7").await;
    let services = browser
        .run("return [...document.querySelectorAll('.legend .chip')].map((chip) => chip.textContent)")
        .await;
    assert_eq!(services, json!(["order-service", "user-service", "inventory-service", "payment-service"]));

    browser.run("[...document.querySelectorAll('.span-row')].find((row) => row.textContent.includes('UPDATE stock')).click()").await;
    browser.until("document.querySelector('.sql')").await;
    let statement = browser.run("return document.querySelector('.sql').textContent").await;
    assert_eq!(
        statement,
        "UPDATE stock\nSET reserved = reserved + ?\nWHERE product_id = ?\n  AND available >= ?"
    );

    browser.run("[...document.querySelectorAll('.span-row.failed')].at(-1).click()").await;
    browser.until("document.querySelector('.exception-box')").await;
    browser.run("document.querySelector('.causes').open = true").await;
    let exception = browser.run("return document.querySelector('.exception-box').innerText").await;
    for part in ["GatewayError", "the card was declined", "caused by: insufficient funds"] {
        assert!(exception.as_str().unwrap().contains(part), "{exception}");
    }
    // The address alone leads back here.
    let address = browser.run("return location.href").await;
    browser.go("about:blank").await;
    browser.go(address.as_str().unwrap()).await;
    browser.until("document.querySelector('.exception-box') && document.querySelector('.panel h2').textContent === 'POST /charges'").await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn the_keyboard_alone_finds_opens_reads_and_goes_back() {
    let sent = Sent::start(Limits::default());
    sent.send(many(100, 20)).await;
    sent.send(declined_order(1)).await;
    let browser = Browser::start(1280, 800).await;
    sent.open(&browser, "").await;
    browser.until(&format!("{ROWS}.length === 21")).await;
    browser.keys("/").await;
    browser.until("document.activeElement.name === 'text'").await;
    browser.keys("insufficient FUNDS").await;
    browser.until(&format!("{ROWS}.length === 1")).await;
    browser.keys(ENTER).await;
    browser.until("document.activeElement.getAttribute('role') === 'listbox' && document.activeElement.getAttribute('aria-activedescendant')").await;
    browser.keys(ENTER).await;
    browser.until("document.activeElement.getAttribute('role') === 'tree'").await;
    // The root failed too, but is where one is.
    browser.keys("e").await;
    browser.until("document.querySelector('.exception-box')").await;
    browser.keys(ESCAPE).await;
    browser.until("document.querySelector('.panel').hidden").await;
    // Collapsed from its root, the trace is one row.
    browser.keys("\u{e011}").await;
    browser.keys(LEFT).await;
    browser.until("document.querySelectorAll('.span-row').length === 1 && document.querySelector('[aria-expanded=false]')").await;
    browser.keys(DOWN).await;
    browser.keys(ESCAPE).await;
    browser.until(&format!("{ROWS}.length > 0")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn text_from_telemetry_is_shown_and_never_run() {
    let sent = Sent::start(Limits::default());
    sent.send(hostile(1)).await;
    let browser = Browser::start(1280, 800).await;
    for view in ["#/traces", "#/map?seconds=86400", "#/logs", "#/metrics", "#/held"] {
        sent.open(&browser, "").await;
        sent.open(&browser, view).await;
        browser.until("document.getElementById('held').textContent.includes('1 traces')").await;
    }
    sent.open(&browser, "#/traces").await;
    browser.until(&format!("{ROWS}.length === 1")).await;
    let name = browser.run("return document.querySelector('.trace-row .name b').textContent").await;
    assert_eq!(name, HOSTILE);
    browser.run(&format!("{ROWS}[0].click()")).await;
    browser.until("document.querySelector('.span-row')").await;
    browser.run("document.querySelector('.span-row').click()").await;
    browser.until("document.querySelector('.exception-box')").await;
    let shown = browser.run("return document.querySelector('.panel').textContent").await;
    assert!(shown.as_str().unwrap().matches(HOSTILE).count() >= 7, "{shown}");
    let made =
        browser.run("return document.querySelectorAll('main img, main script, main iframe').length").await;
    assert_eq!(made, 0);
    // Were one ever made, the page's policy would not let it run.
    browser.run("const one = document.createElement('script'); one.textContent = 'window.pwned = 3'; document.body.append(one); const image = document.createElement('div'); image.innerHTML = '<img src=x onerror=\"window.pwned=4\">'; document.body.append(image)").await;
    browser.until("document.querySelector('body > div > img')?.complete").await;
    assert_eq!(browser.run("return window.pwned ?? null").await, json!(null));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn what_arrives_appears_by_itself_and_what_made_room_is_told() {
    let sent = Sent::start(Limits { traces: 5, ..Limits::default() });
    let browser = Browser::start(1280, 800).await;
    sent.open(&browser, "").await;
    browser
        .until("document.querySelector('.nothing')?.innerText.includes('OTEL_EXPORTER_OTLP_ENDPOINT')")
        .await;
    sent.send(many(1, 4)).await;
    browser.until(&format!("{ROWS}.length === 4")).await;
    sent.send(many(10, 3)).await;
    browser.until(&format!("{ROWS}.length === 5")).await;
    browser.until("document.getElementById('held').textContent.includes('2 older traces made room')").await;
    // Paused, the list stays as it is; followed again, it catches up.
    browser.keys("p").await;
    browser.until("document.getElementById('live').textContent === 'Paused'").await;
    sent.send(declined_order(50)).await;
    browser.until("document.getElementById('held').textContent.includes('3 older traces made room')").await;
    assert_eq!(
        browser
            .run(&format!("return [...{ROWS}].filter((row) => row.textContent.includes('orders')).length"))
            .await,
        0
    );
    browser.keys("p").await;
    browser.until(&format!("[...{ROWS}].some((row) => row.textContent.includes('orders'))")).await;
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn ten_thousand_traces_and_five_thousand_spans_are_a_screenful_of_elements() {
    let sent = Sent::start(Limits { traces: 20_000, ..Limits::default() });
    for page in 0..10 {
        sent.send(many(page * 1_000, 1_000)).await;
    }
    sent.send(wide(20_000, 5_000)).await;
    let browser = Browser::start(1280, 800).await;
    sent.open(&browser, "#/traces").await;
    browser.until(&format!("{ROWS}.length > 10")).await;
    // Down to the oldest, page by page.
    browser.until("(() => { const rows = document.querySelector('.rows'); rows.scrollTop = rows.scrollHeight; return document.querySelector('.said').textContent === '10,001 traces'; })()").await;
    browser.until("document.querySelector('[aria-posinset=\"10001\"]')").await;
    let rows = browser.run(&format!("return {ROWS}.length")).await;
    assert!(rows.as_u64().unwrap() < 100, "{rows}");

    browser.run("location.hash = '#/traces?text=import'").await;
    browser.until(&format!("{ROWS}.length === 1")).await;
    browser.run(&format!("{ROWS}[0].click()")).await;
    browser.until("document.querySelector('.trace-title')?.textContent.includes('5,000 spans')").await;
    browser.keys("\u{e010}").await;
    browser.until("document.querySelector('.span-row[aria-selected=true]')?.dataset.index === '4999'").await;
    let rows = browser.run("return document.querySelectorAll('.span-row').length").await;
    assert!(rows.as_u64().unwrap() < 120, "{rows}");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs chromium"]
async fn a_phone_shows_every_view_without_scrolling_sideways() {
    let sent = Sent::start(Limits::default());
    sent.send(declined_order(1)).await;
    // Points over time, so that there is a rate.
    for (seconds_ago, count) in [(60, 1), (30, 4), (10, 9), (0, 12)] {
        sent.send_metrics(&durations(seconds_ago, count)).await;
    }
    let browser = Browser::start(500, 800).await;
    browser.resize(390, 844).await;
    for view in ["#/traces", "#/logs", "#/metrics", "#/map?seconds=86400", "#/held"] {
        sent.open(&browser, view).await;
        browser.until("document.querySelector('main').children.length > 0 && document.getElementById('held').textContent.includes('held')").await;
        if view == "#/metrics" {
            browser
                .until("document.querySelector('.numbers caption') && document.querySelector('.plot canvas')")
                .await;
        }
        // Neither the document nor the part of the page that scrolls is wider than the phone, and the document
        // is no longer than it.
        let fits = browser
            .run(
                "const [all, page] = [document.documentElement, document.querySelector('.page')]; \
                 return all.scrollWidth <= all.clientWidth && all.scrollHeight <= all.clientHeight \
                 && (!page || page.scrollWidth <= page.clientWidth)",
            )
            .await;
        assert_eq!(fits, true, "{view}");
    }
    browser.close().await;
}
