//! What operators and orchestrators ask every service: who are you, do you live, can you work, how much do you do.

use actix_web::http::StatusCode;
use actix_web::http::header::VARY;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use telemetry_core::prometheus::Format;
use telemetry_core::{Telemetry, context};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::app::Stopping;
use crate::db::Database;
use crate::problem::code;
use crate::{MetricsAccess, Problem};

/// The name and version that `/` greets with.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(greet).service(report_health).service(report_readiness).service(report_metrics);
}

#[derive(Serialize, ToSchema)]
struct Greeting {
    /// The service and its version.
    message: String,
    /// Always `operational`: a service that is not does not answer.
    status: &'static str,
}

/// Tells which service this is.
#[utoipa::path(tag = "status", responses((status = 200, body = Greeting)))]
#[get("/")]
async fn greet(identity: web::Data<Identity>) -> web::Json<Greeting> {
    let message = format!("{} {}", identity.name, identity.version);
    web::Json(Greeting { message, status: "operational" })
}

#[derive(Serialize, ToSchema)]
struct Health {
    /// Always `healthy`: this asks for nothing but an answer.
    status: &'static str,
    /// `enabled` or `disabled`.
    tracing: &'static str,
    /// The current trace, where this path is traced at all.
    trace_id: Option<String>,
    /// The current span, likewise.
    span_id: Option<String>,
    /// How the exporters do: what was sent, what was lost.
    #[schema(value_type = Object)]
    exporters: serde_json::Value,
}

/// Tells that the process lives, and how its telemetry does. Asks nobody else, so that a database that
/// is away does not get a healthy process killed.
#[utoipa::path(tag = "status", responses((status = 200, body = Health)))]
#[get("/health")]
async fn report_health(telemetry: web::Data<Telemetry>) -> web::Json<Health> {
    let (trace_id, span_id) = telemetry_core::span::ids().unzip();
    web::Json(Health {
        status: "healthy",
        tracing: if telemetry.is_enabled() { "enabled" } else { "disabled" },
        trace_id,
        span_id,
        exporters: serde_json::to_value(telemetry.export_health()).unwrap_or_default(),
    })
}

#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Always `ready`; whoever is not answers 503.
    status: &'static str,
}

/// Tells whether requests should be sent here: not while the database is away or the process stops.
#[utoipa::path(tag = "status", responses(
    (status = 200, body = Readiness),
    (status = 503, description = "`database_unavailable` or `shutting_down`"),
))]
#[get("/ready")]
async fn report_readiness(
    database: web::Data<Database>,
    stopping: web::Data<Stopping>,
) -> Result<HttpResponse, Problem> {
    if stopping.is_requested() {
        return Err(Problem::unavailable(code::SHUTTING_DOWN, "This process is going down."));
    }
    database.ping().await.map_err(|error| {
        Problem::unavailable(code::DATABASE_UNAVAILABLE, "The database gives no answer.").caused_by(error)
    })?;
    Ok(HttpResponse::build(StatusCode::OK).json(Readiness { status: "ready" }))
}

/// Tells every metric, as a Prometheus server reads it: as OpenMetrics, with exemplars, to those that ask for it.
#[utoipa::path(tag = "status", responses(
    (status = 200, content(
        (String = "text/plain; version=0.0.4; charset=utf-8"),
        (String = "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    )),
    (status = 401, description = "`missing_token` or `invalid_token`: `METRICS_TOKEN` is set"),
    (status = 403, description = "`metrics_not_public`: they are closed to the outside"),
    (status = 404, description = "`metrics_disabled`: `OTEL_METRICS_EXPORTER` is `none`, or the SDK is disabled"),
))]
#[get("/metrics")]
async fn report_metrics(
    request: HttpRequest,
    telemetry: web::Data<Telemetry>,
    access: web::Data<MetricsAccess>,
) -> Result<HttpResponse, Problem> {
    access.check(&request)?;
    let format = Format::accepted_by(&request);
    let text = context::blocking(move || telemetry.scrape(format)).await.ok_or_else(|| {
        // An empty success would look like a service without work to whoever watches it.
        Problem::new(StatusCode::NOT_FOUND, code::METRICS_DISABLED, "This process makes no metrics.")
    })?;
    let mut answer = HttpResponse::Ok();
    Ok(answer.content_type(format.content_type()).insert_header((VARY, "accept")).body(text))
}
