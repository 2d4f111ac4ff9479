//! Requests that make more telemetry than one span.

use std::sync::LazyLock;

use actix_web::web::{self, Data, Path, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::trace::Tracer;
use telemetry_core::span::set_attribute;

/// So many routes, each with one path, in scopes of a hundred: actix-web looks through them one after the other.
pub(crate) fn routes(number: u32) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        for hundred in 0..number.div_ceil(100) {
            let mut scope = web::scope(&format!("/{hundred}"));
            for route in 0..(number - hundred * 100).min(100) {
                scope = scope.route(&format!("/{route}"), web::get().to(HttpResponse::Ok));
            }
            config.service(scope);
        }
    }
}

/// `/spans/N`: N spans of the tracer's below the request's; `/instrumented/N`: N of `tracing`'s; `/attributes/N`: N texts
/// of ten characters on the request's own.
pub(crate) fn spans(telemetry: Telemetry) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(Data::new(telemetry))
            .route("/spans/{number}", web::get().to(make_spans))
            .route("/instrumented/{number}", web::get().to(make_instrumented))
            .route("/attributes/{number}", web::get().to(set_attributes));
    }
}

async fn make_spans(number: Path<u32>, telemetry: Data<Telemetry>) -> impl Responder {
    for _ in 0..*number {
        telemetry.tracer().in_span("step", |_| ());
    }
    HttpResponse::Ok()
}

async fn make_instrumented(number: Path<u32>) -> impl Responder {
    for _ in 0..*number {
        step();
    }
    HttpResponse::Ok()
}

#[tracing::instrument]
fn step() {}

async fn set_attributes(number: Path<usize>) -> impl Responder {
    for name in &NAMES[..*number] {
        set_attribute(*name, "ten digits");
    }
    HttpResponse::Ok()
}

/// A hundred different ones.
static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| (0..100).map(|number| &*format!("app.attribute_{number}").leak()).collect());
