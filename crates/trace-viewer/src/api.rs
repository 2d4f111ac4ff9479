//! The JSON API: what the store holds, as documents of [`model`](crate::model).

use actix_web::guard;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, web};
use serde::Deserialize;

use crate::model::{
    Graph, Health, Instruments, Logs, Metrics, SeriesList, Services, Status, Trace, TraceId, TraceList,
};
use crate::{LogFilter, MetricFilter, Outcome, Problem, SeriesQuery, Store, TraceFilter, live};

type Answer<T> = Result<web::Json<T>, Problem>;

/// Traces listed where the caller does not say; about what a page shows.
const DEFAULT_TRACES: usize = 100;

/// All paths of the API.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    let query = web::QueryConfig::default().error_handler(|error, _| invalid_query(&error).into());
    config
        .app_data(query)
        .service(resource("/health", read().to(health)))
        .service(resource("/api/status", read().to(status)))
        .service(resource("/api/traces", read().to(list_traces)))
        .service(resource("/api/traces/{trace_id}", read().to(find_trace)))
        .service(resource("/api/logs", read().to(list_logs)))
        .service(resource("/api/metrics", read().to(list_metrics)))
        .service(resource("/api/metrics/instruments", read().to(list_instruments)))
        .service(resource("/api/metrics/series", read().to(show_series)))
        .service(resource("/api/graph", read().to(show_graph)))
        .service(resource("/api/services", read().to(list_services)))
        .service(resource("/api/live", read().to(live::follow)))
        .default_service(web::to(not_found));
}

/// A path under one route; other methods are answered with 405.
pub(crate) fn resource(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(method_not_allowed))
}

/// A route for those who only read.
pub(crate) fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
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
    before: Option<String>,
    service: Option<String>,
    status: Option<Outcome>,
    min_ms: Option<f64>,
    max_ms: Option<f64>,
    attribute: Option<String>,
    text: Option<String>,
}

async fn list_traces(store: web::Data<Store>, query: web::Query<TracesQuery>) -> Answer<TraceList> {
    let query = query.into_inner();
    // A helping of none would leave a follower where it is for ever.
    let limit = query.limit.unwrap_or(DEFAULT_TRACES).max(1);
    let nano = |ms: f64| (ms.max(0.0) * 1e6) as u64;
    let filter = TraceFilter {
        service: some(query.service),
        status: query.status,
        min_nano: query.min_ms.map(nano),
        max_nano: query.max_ms.map(nano),
        attribute: some(query.attribute),
        text: some(query.text),
    };
    store
        .traces_matching(limit, &filter, query.since.as_deref(), query.before.as_deref())
        .map(web::Json)
        .map_err(|error| invalid_query(&error))
}

/// A field that a form sends empty asks for nothing.
fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// The entity tag spares a page that follows a large trace from reading it again and again.
async fn find_trace(
    request: HttpRequest,
    store: web::Data<Store>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let not_found = || {
        let detail = "no trace of this id is held: not arrived yet, or made room for newer ones";
        Problem::new(StatusCode::NOT_FOUND, "trace_not_found", detail)
    };
    // A text that is no trace id names no trace either.
    let trace_id = path.parse::<TraceId>().map_err(|_| not_found())?;
    // Asked before the trace: what arrives in between is told the next time.
    let tag = format!("\"{}\"", store.trace_version(trace_id).ok_or_else(not_found)?);
    let known = request.headers().get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    let trace: Trace = store.trace(trace_id).ok_or_else(not_found)?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(trace))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogsQuery {
    limit: Option<usize>,
    trace_id: Option<TraceId>,
    service: Option<String>,
    severity: Option<u8>,
    text: Option<String>,
    before: Option<u64>,
    since: Option<u64>,
}

async fn list_logs(store: web::Data<Store>, query: web::Query<LogsQuery>) -> web::Json<Logs> {
    let LogsQuery { limit, trace_id, service, severity, text, before, since } = query.into_inner();
    let (service, text) = (some(service), some(text));
    web::Json(store.logs(&LogFilter { limit, trace_id, service, severity, text, before, since }))
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

async fn list_instruments(store: web::Data<Store>) -> web::Json<Instruments> {
    web::Json(store.instruments())
}

/// Seconds shown where the caller does not say.
const DEFAULT_SECONDS: u64 = 300;

/// `only` is `key=value`; a `by` that is there and empty makes one group a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesParameters {
    name: String,
    service: Option<String>,
    by: Option<String>,
    only: Option<String>,
    seconds: Option<u64>,
}

async fn show_series(store: web::Data<Store>, query: web::Query<SeriesParameters>) -> Answer<SeriesList> {
    let SeriesParameters { name, service, by, only, seconds } = query.into_inner();
    let only = match some(only) {
        None => Vec::new(),
        Some(only) => match only.split_once('=') {
            Some((key, value)) => vec![(key.to_owned(), value.to_owned())],
            None => {
                let detail = "`only` must be key=value";
                return Err(Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail));
            }
        },
    };
    let by = by.map(|by| by.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect());
    let seconds = seconds.unwrap_or(DEFAULT_SECONDS);
    Ok(web::Json(store.series(&SeriesQuery { name, service: some(service), by, only, seconds })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphQuery {
    seconds: Option<u64>,
}

async fn show_graph(store: web::Data<Store>, query: web::Query<GraphQuery>) -> web::Json<Graph> {
    web::Json(store.graph(query.seconds.unwrap_or(DEFAULT_SECONDS)))
}

async fn list_services(store: web::Data<Store>) -> web::Json<Services> {
    web::Json(store.services())
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    let detail = format!("there is nothing at {}; the page at / tells what there is", request.path());
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail).error_response()
}

async fn method_not_allowed(request: HttpRequest) -> HttpResponse {
    let detail = format!("{} does not take {}", request.path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).error_response()
}

fn invalid_query(error: &dyn std::error::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.to_string())
}
