//! What the parts of telemetry-core cost the thread that calls them. In `benches`:
//!
//!     cargo bench -p parts                                     # all; a word behind it takes those with it in their names
//!     cargo bench -p parts -- --save-baseline before           # then, with the change: -- --baseline before
//!
//! A time says little on a machine with other work; ratios within one run do, such as `server/bare` to `server/sampled`.
//! Spans go to a collector on loopback by threads of their own, whose cost is not in it, and what is ended faster than
//! they take it is dropped, as anywhere. What a whole request costs, export included, is counted by `budget`.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, web};
use criterion::{Bencher, Criterion};
use diesel::connection::LoadConnection;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use sink::Sink;
use telemetry_core::config::{Env, Propagator};
use telemetry_core::db::{Database, TracedConnection, instrument};
use telemetry_core::opentelemetry::KeyValue;
use telemetry_core::opentelemetry::propagation::TextMapPropagator;
use telemetry_core::opentelemetry::trace::Tracer;
use telemetry_core::propagation::Propagation;
use telemetry_core::{Config, TelemetryGuard};

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sink = Sink::start()?;
    let mut env = Env::of([
        ("ENVIRONMENT", "production"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*format!("http://127.0.0.1:{}", sink.port())),
        // What is dropped is told once in a while; here it is no news.
        ("OTEL_LOG_LEVEL", "none"),
        ("RUST_LOG", "off,parts=info"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    let telemetry = telemetry_core::init(Config::read("parts", "1.0.0", &mut env))?;
    let mut criterion = Criterion::default().configure_from_args();
    propagation(&mut criterion);
    spans(&mut criterion, &telemetry);
    metrics(&mut criterion, &telemetry);
    server(&mut criterion, &telemetry);
    queries(&mut criterion, &telemetry)?;
    criterion.final_summary();
    Ok(())
}

fn propagation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("propagation");
    let w3c = Propagation::new(&[Propagator::TraceContext, Propagator::Baggage]);
    let headers = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let table = [
        ("nothing", headers(&[])),
        ("traceparent", headers(&[("traceparent", SAMPLED)])),
        (
            "tracestate",
            headers(&[("traceparent", SAMPLED), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")]),
        ),
        (
            "baggage",
            headers(&[("traceparent", SAMPLED), ("baggage", "tenant.name=Corner%20caf%C3%A9,user.id=7")]),
        ),
    ];
    for (name, headers) in &table {
        group.bench_function(format!("extract/{name}"), |bencher| {
            bencher.iter(|| w3c.extract(black_box(headers)))
        });
        let context = w3c.extract(headers);
        group.bench_function(format!("inject/{name}"), |bencher| {
            bencher.iter(|| {
                let mut sent = HashMap::new();
                w3c.inject_context(black_box(&context), &mut sent);
                sent
            });
        });
    }
    group.finish();
}

fn spans(criterion: &mut Criterion, telemetry: &TelemetryGuard) {
    let mut group = criterion.benchmark_group("span");
    let tracer = telemetry.tracer();
    group.bench_function("of the tracer", |bencher| bencher.iter(|| tracer.in_span("step", |_| ())));
    group.bench_function("of the tracer, ten attributes", |bencher| {
        bencher.iter(|| {
            tracer.in_span("step", |_| {
                for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
                    telemetry_core::span::set_attribute(name, "ten digits");
                }
            });
        });
    });
    group.bench_function("of tracing", |bencher| bencher.iter(step));
    group.bench_function("of tracing, filtered out", |bencher| bencher.iter(quiet_step));
    group.bench_function("set_attribute without a span", |bencher| {
        bencher.iter(|| telemetry_core::span::set_attribute("a", "ten digits"));
    });
    group.bench_function("tracing event, filtered out", |bencher| {
        bencher.iter(|| tracing::debug!("nobody reads it"))
    });
    group.finish();
}

#[tracing::instrument]
fn step() {}

#[tracing::instrument(level = "trace")]
fn quiet_step() {}

fn metrics(criterion: &mut Criterion, telemetry: &TelemetryGuard) {
    let mut group = criterion.benchmark_group("metric");
    let histogram = telemetry.meter().f64_histogram("parts.duration").build();
    let attributes = [KeyValue::new("kind", "express"), KeyValue::new("outcome", "confirmed")];
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| histogram.record(black_box(0.3), &attributes))
    });
    let bound = histogram.bind(&attributes);
    group.bench_function("histogram, bound", |bencher| bencher.iter(|| bound.record(black_box(0.3))));
    group.finish();
}

fn server(criterion: &mut Criterion, telemetry: &TelemetryGuard) {
    let mut group = criterion.benchmark_group("server");
    let system = actix_web::rt::System::new();
    let item = || web::get().to(async || HttpResponse::Ok().body("{}"));
    let bare = system.block_on(init_service(App::new().route("/items/{id}", item())));
    let middleware = telemetry.server();
    let traced = system.block_on(init_service(App::new().route("/items/{id}", item()).wrap(middleware)));
    group.bench_function("bare", |bencher| serve(bencher, &system, &bare, None));
    group.bench_function("sampled", |bencher| serve(bencher, &system, &traced, None));
    group.bench_function("sampled, with a parent", |bencher| serve(bencher, &system, &traced, Some(SAMPLED)));
    group.bench_function("unsampled", |bencher| serve(bencher, &system, &traced, Some(UNSAMPLED)));
    group.finish();
}

fn serve<B: MessageBody>(
    bencher: &mut Bencher<'_>,
    system: &actix_web::rt::SystemRunner,
    app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
    traceparent: Option<&'static str>,
) {
    bencher.iter_custom(|iterations| {
        system.block_on(async {
            let start = Instant::now();
            for _ in 0..iterations {
                let mut request = TestRequest::get().uri("/items/7");
                if let Some(traceparent) = traceparent {
                    request = request.insert_header(("traceparent", traceparent));
                }
                let answer = app.call(request.to_request()).await.expect("it answers");
                black_box(actix_web::body::to_bytes(answer.into_body()).await.is_ok());
            }
            start.elapsed()
        })
    });
}

use schema::items;

mod schema {
    diesel::table! {
        items (id) {
            id -> Integer,
            name -> Text,
        }
    }
}

fn queries(criterion: &mut Criterion, telemetry: &TelemetryGuard) -> Result<(), Box<dyn std::error::Error>> {
    let mut group = criterion.benchmark_group("query");
    let database = Database::from_url("sqlite://:memory:")?;
    let mut bare = filled()?;
    group.bench_function("bare", |bencher| bencher.iter(|| query(&mut bare)));
    let mut instrumented = filled()?;
    instrument(&mut instrumented, telemetry, &database);
    group.bench_function("instrumented", |bencher| bencher.iter(|| query(&mut instrumented)));
    let mut traced = TracedConnection::new(filled()?);
    instrument(&mut traced, telemetry, &database);
    group.bench_function("on a TracedConnection", |bencher| bencher.iter(|| query(&mut traced)));
    group.finish();
    Ok(())
}

fn filled() -> Result<SqliteConnection, Box<dyn std::error::Error>> {
    let mut connection = SqliteConnection::establish(":memory:")?;
    diesel::sql_query("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&mut connection)?;
    diesel::insert_into(items::table)
        .values((items::id.eq(7), items::name.eq("a small thing")))
        .execute(&mut connection)?;
    Ok(connection)
}

fn query(connection: &mut impl LoadConnection<Backend = Sqlite>) -> String {
    items::table.find(black_box(7)).select(items::name).get_result(connection).expect("it is there")
}
