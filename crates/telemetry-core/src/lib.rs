//! OpenTelemetry for services made of actix-web, reqwest and diesel.
//!
//! # What it emits
//!
//! | where | spans | metrics |
//! |---|---|---|
//! | [`server`] | one SERVER span a request: `{METHOD} {route}` | `http.server.request.duration`, `.active_requests`, `.request.body.size`, `.response.body.size` |
//! | [`server::websocket`] | one CONSUMER span an inbound message: `{route} message` | `websocket.messages`, `websocket.message.size` |
//! | [`client`] | one CLIENT span a try: `{METHOD} {url.template}` | `http.client.request.duration`, `.active_requests`, `.request.body.size`, `.response.body.size` |
//! | [`db`] | one CLIENT span a statement: `{operation} {tables}`; `transaction`; `wait_for_connection` | `db.client.operation.duration`, `db.client.connection.*` |
//! | [`tracing`](https://docs.rs/tracing) | `#[instrument]` spans, INTERNAL | |
//! | the process (Linux) | | `process.*`: CPU time, memory, disk, threads, file descriptors, context switches, page faults, uptime |
//! | the tokio runtimes, summed up | | `tokio.workers`, `.alive_tasks`, `.global_queue_depth`, `.worker.busy_duration`, `.worker.park_count` |
//!
//! Names, units and attributes are those of the stable OpenTelemetry semantic conventions; a change of
//! them is a breaking change. `tracing` events are log records that know their trace. W3C Trace Context
//! and Baggage go in and out with every request, or what [`propagation`] has besides.
//!
//! # Quick start
//!
//! One call sets it up, one line wraps the app, one makes a client, one a pool:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use actix_web::{App, HttpServer, web};
//! use diesel::SqliteConnection;
//! use diesel::r2d2::ConnectionManager;
//! use telemetry_core::Config;
//! use telemetry_core::db::{Database, PoolOptions};
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config::from_env(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))?;
//!     let telemetry = telemetry_core::init(config)?;
//!
//!     let url = "shop.db";
//!     let pool = telemetry.pool(
//!         ConnectionManager::<SqliteConnection>::new(url),
//!         Database::from_url("sqlite://shop.db")?,
//!         PoolOptions::default(),
//!     )?;
//!     let client = telemetry.client();
//!     let middleware = telemetry.server();
//!     HttpServer::new(move || {
//!         App::new()
//!             .app_data(web::Data::new(pool.clone()))
//!             .app_data(web::Data::new(client.clone()))
//!             .wrap(middleware.clone())
//!     })
//!     .bind(("127.0.0.1", 8080))?
//!     .run()
//!     .await?;
//!
//!     let report = telemetry.shutdown(Duration::from_secs(3));
//!     if !report.is_complete() {
//!         eprintln!("{report}");
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Without any variable this prints spans and logs to the console; with `ENVIRONMENT=production` it
//! sends them by OTLP to `http://localhost:4318`. [`Config`] tells what each setting means, and
//! `docs/configuration.md` of the repository has every variable on one page. [`Telemetry::builder`] takes settings,
//! exporters, processors, samplers and hooks in code.
//!
//! # What to know
//!
//! - OpenTelemetry's current [`Context`](opentelemetry::Context) is the one truth about the current
//!   trace. [`context`] carries it to other tasks and to blocking threads; the raw functions lose it.
//! - `RUST_LOG` filters log output and nothing else.
//! - [`prometheus`] gives the metrics to whoever fetches them, beside any exporter.
//! - Nobody makes it grow: attributes keep to the limits of the specification, a metric has at most
//!   `METRICS_CARDINALITY_LIMIT` series, and one place in the code logs at most `LOG_RATE_LIMIT` lines a second. What
//!   limits keep back is counted in [`export::ExportHealth`].
//! - Give errors to `tracing` as `error = &error as &(dyn std::error::Error + 'static)`: then log lines and records tell
//!   the whole chain, without the URLs and values that such errors quote. `%error` is only text, as the error has it.
//! - Exemplars lead from the three `*.duration` metrics to traces, by OTLP and by OpenMetrics
//!   ([`prometheus`] says how far). The classic Prometheus text has no place for them.
//! - Telemetry costs no request: exporters live on threads of their own, queues are bounded, and what
//!   is dropped is counted.
//! - [`span`] tells the current span what the application knows.
//!
//! # OpenTelemetry in code
//!
//! A manifest names no crate of OpenTelemetry: [`opentelemetry`] has the API of the one version in use, and
//! [`opentelemetry_sdk`] the traits that exporters, processors and samplers of one's own are made by.
//!
//! ```
//! use telemetry_core::Telemetry;
//! use telemetry_core::opentelemetry::metrics::{Counter, Histogram};
//! use telemetry_core::opentelemetry::trace::{SpanKind, TraceContextExt as _, Tracer as _};
//! use telemetry_core::opentelemetry::{Context, KeyValue};
//!
//! struct Instruments {
//!     orders: Counter<u64>,
//!     amount: Histogram<f64>,
//! }
//!
//! impl Instruments {
//!     fn new(telemetry: &Telemetry) -> Self {
//!         let meter = telemetry.meter();
//!         Self {
//!             orders: meter.u64_counter("orders.created").with_unit("{order}").build(),
//!             amount: meter.f64_histogram("order.amount").with_boundaries(vec![10.0, 100.0]).build(),
//!         }
//!     }
//! }
//!
//! # let telemetry = telemetry_core::testing::TestTelemetry::new();
//! let instruments = Instruments::new(&telemetry);
//! let tracer = telemetry.tracer();
//! let span = tracer.span_builder("publish").with_kind(SpanKind::Producer).start(tracer);
//! let cx = Context::current_with_span(span);
//! cx.span().add_event("published", vec![KeyValue::new("message.size", 512)]);
//! instruments.orders.add(1, &[KeyValue::new("order.type", "standard")]);
//! instruments.amount.record(19.9, &[]);
//! # drop(cx);
//! # assert_eq!(telemetry.spans()[0].span_kind, SpanKind::Producer);
//! ```
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `actix` | yes | [`server`] |
//! | `reqwest` | yes | [`client`] |
//! | `diesel` | yes | [`db`] |
//! | `testing` | | `testing` |
//!
//! An integration that is not asked for is not compiled, and what it instruments is no dependency. (reqwest itself
//! is one always: OTLP goes by it.) Every setting is read and checked with any features.
//!
//! # Testing
//!
//! With the feature `testing`, `testing::TestTelemetry` keeps a test's telemetry in memory: whole span trees compared by
//! value with a readable difference, metrics and log records looked up, canaries looked for. `examples/notes` is a
//! service whose telemetry is tested so.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub mod client;
pub mod config;
pub mod context;
#[cfg(feature = "diesel")]
#[cfg_attr(docsrs, doc(cfg(feature = "diesel")))]
pub mod db;
#[cfg(not(feature = "diesel"))]
#[path = "db/absent.rs"]
mod db;
pub mod doctor;
pub mod export;
#[cfg_attr(not(feature = "actix"), allow(dead_code, reason = "names that the server alone tells"))]
pub mod names;
pub mod prometheus;
#[cfg_attr(
    not(all(feature = "actix", feature = "reqwest")),
    allow(dead_code, reason = "carriers of requests: the server's and the client's")
)]
pub mod propagation;
#[cfg(feature = "actix")]
#[cfg_attr(docsrs, doc(cfg(feature = "actix")))]
pub mod server;
pub mod span;
#[cfg(any(test, feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;

mod baggage;
mod builder;
#[cfg_attr(
    not(any(feature = "actix", feature = "reqwest")),
    allow(
        dead_code,
        reason = "headers are the server's and the client's; which may be asked for is always checked"
    )
)]
mod capture;
#[cfg_attr(
    not(feature = "diesel"),
    allow(dead_code, reason = "a statement is measured under a span of its own")
)]
mod exemplars;
#[cfg(any(feature = "actix", feature = "reqwest"))]
mod hooks;
mod init;
mod log_format;
mod panics;
#[cfg_attr(not(feature = "actix"), allow(dead_code, reason = "the server asks for the paths of requests"))]
mod paths;
#[cfg_attr(not(feature = "reqwest"), allow(dead_code, reason = "whole URLs are the client's"))]
mod redact;
mod reqwest_error;
mod resource;
mod runtime;
#[cfg(any(feature = "actix", feature = "reqwest"))]
mod status;
mod subscriber;
#[cfg_attr(
    not(all(feature = "actix", feature = "reqwest", feature = "diesel")),
    allow(dead_code, reason = "each integration asks for settings of its own")
)]
mod telemetry;
mod untraced;

/// The READMEs' examples, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// And those of the page on the configuration.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/configuration.md")]
struct ConfigurationPage;

pub use builder::{ConfiguredTelemetry, TelemetryBuilder};
pub use config::Config;
pub use init::{InitError, TelemetryGuard, init};
pub use opentelemetry;
pub use opentelemetry_sdk;
pub use telemetry::Telemetry;
pub use untraced::unless_untraced;
