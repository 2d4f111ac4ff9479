//! A browser without a window, driven by chromedriver over the W3C's WebDriver protocol; for tests, and for the
//! pictures in the documentation.
//!
//! A handful of requests of JSON are all it takes; the ready-made clients bring twenty crates, one of which
//! is under a licence that `deny.toml` does not allow.
//!
//! It fails by panics: whoever drives a browser is a test, or stands beside it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};

/// How long a page may take to show what it should; a slow machine shares two cores.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// One browser with one page. Ends with its process when it is closed or dropped.
pub struct Browser {
    client: Client,
    session: String,
    driver: Driver,
    _profile: tempfile::TempDir,
}

/// The process, and what it prints, which must stay open.
struct Driver(Child, BufReader<ChildStdout>);

impl Drop for Driver {
    fn drop(&mut self) {
        // Its end ends the browser.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Browser {
    /// A page so many pixels wide and high.
    ///
    /// # Panics
    /// Where chromedriver or chromium is missing.
    pub async fn start(width: u32, height: u32) -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts; Debian has it in chromium-driver");
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut driver = Driver(child, output);
        let mut lines = driver.1.by_ref().lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| {
                line.split("successfully on port ").nth(1).map(|port| port.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver tells its port");
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            &format!("--window-size={width},{height}"),
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } });
        // Nothing here speaks TLS, but a client is not built without it. Only the first call can succeed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        let sessions = format!("http://127.0.0.1:{port}/session");
        let made = ask(&client, &sessions, &json!({ "capabilities": capabilities })).await;
        let id = made["sessionId"].as_str().expect("a session; Debian has the browser in chromium");
        Self { client, session: format!("{sessions}/{id}"), driver, _profile: profile }
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        ask(&self.client, &format!("{}/url", self.session), &json!({ "url": url })).await;
    }

    /// What a script answers.
    pub async fn run(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        ask(&self.client, &format!("{}/execute/sync", self.session), &body).await
    }

    /// Waits until an expression is true.
    ///
    /// # Panics
    /// Where it is not after a minute; with what the page shows.
    pub async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&format!("return !!({expression})")).await != Value::Bool(true) {
            if Instant::now() > deadline {
                let shown = self.run("return document.body.innerText").await;
                panic!("never true: {expression}\nthe page shows:\n{}", shown.as_str().unwrap_or_default());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Types as on a keyboard: text, or keys by their WebDriver code points.
    pub async fn keys(&self, keys: &str) {
        let press = |key: char| {
            [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })]
        };
        let actions: Vec<Value> = keys.chars().flat_map(press).collect();
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        ask(&self.client, &format!("{}/actions", self.session), &body).await;
    }

    /// How large the page is, in CSS pixels, whatever the window; narrower than windows get, as on a phone.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await;
    }

    /// What the system's settings say of colours: `light` or `dark`.
    pub async fn prefer_colours(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &media).await;
    }

    /// A picture of what is shown, as PNG.
    ///
    /// # Panics
    /// Where the browser gives none.
    pub async fn picture(&self) -> Vec<u8> {
        let answer = self.client.get(format!("{}/screenshot", self.session)).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        STANDARD.decode(answer["value"].as_str().expect("a picture")).expect("base64")
    }

    async fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({ "cmd": command, "params": parameters });
        ask(&self.client, &format!("{}/goog/cdp/execute", self.session), &body).await;
    }

    /// Ends it.
    pub async fn close(self) {
        // A browser that is gone already is closed.
        let _ = self.client.delete(&self.session).send().await;
        drop(self.driver);
    }
}

/// The value of an answer; an error of the browser's fails the test in its words.
async fn ask(client: &Client, url: &str, body: &Value) -> Value {
    let answer: Value = client.post(url).json(body).send().await.unwrap().json().await.unwrap();
    assert!(answer["value"]["error"].is_null(), "{url} {body}: {answer}");
    answer["value"].clone()
}
