//! The JSON API: what the store holds, as documents of [`model`](crate::model).

use actix_web::guard;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, web};
use serde::Deserialize;

use crate::model::{Health, Logs, Metrics, Status, Trace, TraceId, TraceList};
use crate::{LogFilter, MetricFilter, Problem, Store};

type Answer<T> = Result<web::Json<T>, Problem>;

/// Traces listed where the caller does not say; about what a page shows.
const DEFAULT_TRACES: usize = 100;

/// All paths of the API.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let query = web::QueryConfig::default().error_handler(|error, _| invalid_query(&error).into());
    config
        .app_data(query)
        .service(resource("/", read().to(index)))
        .service(resource("/health", read().to(health)))
        .service(resource("/api/status", read().to(status)))
        .service(resource("/api/traces", read().to(list_traces)))
        .service(resource("/api/traces/{trace_id}", read().to(find_trace)))
        .service(resource("/api/logs", read().to(list_logs)))
        .service(resource("/api/metrics", read().to(list_metrics)))
        .default_service(web::to(not_found));
}

/// A path under one route; other methods are answered with 405.
pub(crate) fn resource(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(method_not_allowed))
}

async fn index() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(include_str!("index.html"))
}

async fn health() -> web::Json<Health> {
    web::Json(Health { status: "ok".to_owned() })
}

async fn status(store: web::Data<Store>) -> web::Json<Status> {
    web::Json(store.status())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TracesQuery {
    limit: Option<usize>,
    since: Option<String>,
}

async fn list_traces(store: web::Data<Store>, query: web::Query<TracesQuery>) -> Answer<TraceList> {
    // A helping of none would leave a follower where it is for ever.
    let limit = query.limit.unwrap_or(DEFAULT_TRACES).max(1);
    store.traces(limit, query.since.as_deref()).map(web::Json).map_err(|error| invalid_query(&error))
}

async fn find_trace(store: web::Data<Store>, path: web::Path<String>) -> Answer<Trace> {
    // A text that is no trace id names no trace either.
    let trace = path.parse::<TraceId>().ok().and_then(|trace_id| store.trace(trace_id));
    trace.map(web::Json).ok_or_else(|| {
        let detail = "no trace of this id is held: not arrived yet, or made room for newer ones";
        Problem::new(StatusCode::NOT_FOUND, "trace_not_found", detail)
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    limit: Option<usize>,
    trace_id: Option<TraceId>,
    service: Option<String>,
}

async fn list_logs(store: web::Data<Store>, query: web::Query<LogsQuery>) -> web::Json<Logs> {
    let LogsQuery { limit, trace_id, service } = query.into_inner();
    web::Json(store.logs(&LogFilter { limit, trace_id, service }))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsQuery {
    name: Option<String>,
    service: Option<String>,
}

async fn list_metrics(store: web::Data<Store>, query: web::Query<MetricsQuery>) -> web::Json<Metrics> {
    let MetricsQuery { name, service } = query.into_inner();
    web::Json(store.metrics(&MetricFilter { name, service }))
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    let detail = format!("there is nothing at {}; GET / lists what there is", request.path());
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail).error_response()
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} does not take {}", request.path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).error_response()
}

fn invalid_query(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.to_string())
}
