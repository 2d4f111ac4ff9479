//! The storefront: a page on which one orders by hand, and breaks things on purpose.
//!
//! The page calls the services themselves, across origins, as a shop's page does; they let it by
//! `CORS_ALLOWED_ORIGINS`. What is served here is the page, what it must know, the switches of the scenarios,
//! and a relay for its own spans, since the viewer takes nothing across origins.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trace_viewer::site::{self, CSS, File, HTML, Hosts, JAVASCRIPT};

use crate::parts::Part;
use crate::scenarios::{Description, Scenario};
use crate::shop::{EMAIL, PASSWORD, Shop};
use crate::stage::Desk;
use crate::system::System;

/// Where it is unless that port is taken.
const DEFAULT_PORT: u16 = 8000;

/// A page's spans of one click are a few kilobytes.
const SPANS_LIMIT_BYTES: usize = 64 * 1024;

macro_rules! file {
    ($path:literal, $kind:ident) => {
        File { path: concat!("/", $path), kind: $kind, text: include_str!(concat!("../page/", $path)) }
    };
}

const DOCUMENT: File = File { path: "/", kind: HTML, text: include_str!("../page/index.html") };

const FILES: &[File] = &[
    file!("shop.css", CSS),
    file!("main.js", JAVASCRIPT),
    file!("calls.js", JAVASCRIPT),
    file!("orders.js", JAVASCRIPT),
    file!("products.js", JAVASCRIPT),
    file!("scenarios.js", JAVASCRIPT),
    file!("spans.js", JAVASCRIPT),
];

/// Of the viewer's page.
const SHARED: [&str; 4] = ["/dom.js", "/theme.js", "/style.css", "/icon.svg"];

/// A storefront that is bound to its port.
pub struct Storefront {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the page must know.
#[derive(Clone, Serialize)]
pub struct Facts {
    user: String,
    inventory: String,
    order: String,
    viewer: String,
    email: &'static str,
    password: &'static str,
    /// The products of this run: a folder that is used again has older ones too.
    products: Vec<String>,
}

impl Facts {
    /// Those of this system and its shop.
    pub fn new(system: &System, shop: &Shop) -> Self {
        Self {
            user: system.url(Part::User),
            inventory: system.url(Part::Inventory),
            order: system.url(Part::Order),
            viewer: system.url(Part::Viewer),
            email: EMAIL,
            password: PASSWORD,
            products: shop.products.iter().map(|product| product.id.clone()).collect(),
        }
    }

    /// Whom the page's scripts may ask.
    fn policy(&self) -> String {
        let socket = self.order.replacen("http", "ws", 1);
        site::policy(&format!("{} {} {} {socket}", self.user, self.inventory, self.order))
    }
}

impl Storefront {
    /// Takes a port: the well-known one, or any that is free.
    ///
    /// # Errors
    /// Where there is none.
    pub fn bind(prefer_default: bool) -> anyhow::Result<Self> {
        let preferred = if prefer_default { DEFAULT_PORT } else { 0 };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, preferred))
            .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
            .context("finding a free port for the storefront")?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Its address, for a browser.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `CORS_ALLOWED_ORIGINS` must have in it: the page by both of its names.
    pub fn origins(&self) -> String {
        format!("{},http://localhost:{}", self.url(), self.address.port())
    }

    /// Serves the page for as long as the answer is polled.
    ///
    /// # Errors
    /// Where the listener fails.
    pub async fn serve(self, facts: Facts, desk: Desk, client: reqwest::Client) -> anyhow::Result<()> {
        let policy = web::Data::new(facts.policy());
        let relay = web::Data::new(Relay { url: format!("{}/v1/traces", facts.viewer), client });
        let (facts, desk) = (web::Data::new(facts), web::Data::new(desk));
        let server = HttpServer::new(move || {
            let hosts = Hosts::default();
            let mut app = App::new()
                .wrap(from_fn(move |request, next| hosts.clone().check(request, next)))
                .app_data(policy.clone())
                .app_data(relay.clone())
                .app_data(facts.clone())
                .app_data(desk.clone())
                .app_data(web::PayloadConfig::new(SPANS_LIMIT_BYTES))
                .route("/shop.json", web::get().to(tell_facts))
                .route("/scenarios.json", web::get().to(list_scenarios))
                .route("/scenarios/{name}", web::put().to(switch_scenario))
                .route("/v1/traces", web::post().to(relay_spans));
            let shared = SHARED.iter().filter_map(|path| trace_viewer::page_file(path));
            for file in FILES.iter().chain([&DOCUMENT]).chain(shared) {
                app =
                    app.route(file.path, web::get().to(move |request, policy| answer(request, policy, file)));
            }
            app
        });
        server
            .workers(1)
            .disable_signals()
            .shutdown_timeout(1)
            .listen(self.listener)?
            .run()
            .await
            .context("serving the storefront")
    }
}

async fn answer(request: HttpRequest, policy: web::Data<String>, file: &'static File) -> HttpResponse {
    site::answer(&request, file, &policy)
}

async fn tell_facts(facts: web::Data<Facts>) -> web::Json<Facts> {
    web::Json(facts.get_ref().clone())
}

#[derive(Serialize)]
struct ScenarioState {
    #[serde(flatten)]
    description: Description,
    /// What customers do meanwhile, times a second.
    rate: f64,
    on: bool,
}

async fn list_scenarios(desk: web::Data<Desk>) -> web::Json<Vec<ScenarioState>> {
    let on = desk.on();
    let state = |scenario: Scenario| ScenarioState {
        description: scenario.describe(),
        rate: scenario.traffic().rate,
        on: on.contains(&scenario),
    };
    web::Json(Scenario::ALL.map(state).into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    on: bool,
}

/// JSON and PUT: no page of another origin can send either without asking first, and nobody answers that here.
async fn switch_scenario(
    desk: web::Data<Desk>,
    name: web::Path<String>,
    wish: web::Json<Switch>,
) -> HttpResponse {
    let Some(scenario) = Scenario::named(&name) else {
        return refuse(StatusCode::NOT_FOUND, "There is no scenario of this name.");
    };
    match desk.switch(scenario, wish.on).await {
        Ok(()) => HttpResponse::Ok().json(list_scenarios(desk).await.into_inner()),
        Err(error) => refuse(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
    }
}

fn refuse(status: StatusCode, detail: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "detail": detail }))
}

struct Relay {
    url: String,
    client: reqwest::Client,
}

/// Passes the page's spans on to the viewer as they are, which checks them.
async fn relay_spans(relay: web::Data<Relay>, request: HttpRequest, spans: web::Bytes) -> HttpResponse {
    // As above: of another origin's page the browser would ask first.
    if request.headers().get("content-type").is_none_or(|kind| kind != "application/json") {
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Spans come as JSON.");
    }
    let sent =
        relay.client.post(&relay.url).header("content-type", "application/json").body(spans).send().await;
    match sent {
        Ok(answer) => HttpResponse::build(
            StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY),
        )
        .finish(),
        Err(_) => refuse(StatusCode::BAD_GATEWAY, "The viewer does not answer."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_nothing_of_other_hosts_and_makes_no_markup_of_text() {
        for File { path, text, .. } in FILES.iter().chain([&DOCUMENT]) {
            for wrong in [
                "https://",
                "//cdn",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(wrong), "{path} has {wrong}");
            }
        }
        for inline in ["<script>", "<style", "style=", "onclick"] {
            assert!(!DOCUMENT.text.contains(inline), "{inline}");
        }
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for File { path, text, .. } in FILES.iter().filter(|file| file.kind == JAVASCRIPT) {
            for import in text.lines().filter(|line| line.starts_with("import ")) {
                let module = import.rsplit(" from ").next().unwrap().trim_matches(['"', ';']);
                let module = module.trim_start_matches('.');
                let is_served = FILES.iter().any(|file| file.path == module) || SHARED.contains(&module);
                assert!(is_served, "{path} imports {module}");
            }
        }
        assert!(SHARED.iter().all(|path| trace_viewer::page_file(path).is_some()));
    }
}
