//! Receives OTLP over HTTP and gRPC, keeps the latest in memory, and shows it.
//!
//! A process of its own beside the services: they send traces, metrics and logs to it as they would
//! to any collector, and people, the demo and the system tests read what arrived.
//!
//! | path | does |
//! |---|---|
//! | `POST /v1/traces`, `/v1/metrics`, `/v1/logs` | OTLP/HTTP, protobuf or JSON, gzip or plain |
//! | `GET /` | the web page |
//! | `GET /api/traces`, `/api/traces/{id}` | summaries newest first, filtered, page by page; one trace whole, with its logs |
//! | `GET /api/logs`, `/api/metrics` | the latest log records; the latest point of each series |
//! | `GET /api/metrics/instruments`, `/api/metrics/series` | what is measured; a metric over time |
//! | `GET /api/graph`, `/api/services` | who calls whom; who is there |
//! | `GET /api/status`, `/health` | what is held, received, dropped, and the limits; liveness |
//! | `GET /api/live` | server-sent events: the status, whenever something has arrived |
//!
//! With [`Options::grpc`] OTLP/gRPC is taken on a port of its own. JSON answers are the types of [`model`], which read back what they write. Errors of the API are
//! RFC 9457 problem documents ([`Problem`]); errors of the receiver are `google.rpc.Status`, as OTLP
//! rules. Nothing is written to disk, and whatever a sender does, memory stays below [`Limits`].
//!
//! ```
//! # #[actix_web::main] async fn main() -> std::io::Result<()> {
//! use trace_viewer::{Options, Viewer};
//!
//! // Port 0 takes a free port; `Options::default()` is 127.0.0.1:8090.
//! let viewer = Viewer::bind(Options { address: "127.0.0.1:0".parse().unwrap(), ..Options::default() })?;
//! println!("send OTLP to {}", viewer.url());
//! let stop = std::future::ready(()); // for example a signal
//! viewer.run_until(stop).await
//! # }
//! ```
//!
//! A trace as text, for a terminal or a README: [`render_trace`].

pub mod model;
pub mod site;
mod tree;

mod limits;
mod store;

mod otlp;

mod api;
mod live;
mod page;
mod problem;
mod server;

mod render;

pub use limits::Limits;
pub use page::file as page_file;
pub use problem::Problem;
pub use render::{RenderOptions, render_trace};
pub use server::{Options, Running, Viewer, serve};
pub use store::{LogFilter, MetricFilter, Outcome, SeriesQuery, Store, TraceFilter, UnknownCursor};
pub use tree::{RootKind, Step, Tree};
