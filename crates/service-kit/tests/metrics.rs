//! What a Prometheus server gets from a service.

use diesel_migrations::EmbeddedMigrations;
use service_kit::Service;
use service_kit::app::{App, Parts};
use service_kit::config::Settings;
use service_kit::testing::{TestApp, TestDatabase};
use telemetry_core::config::Env;
use telemetry_core::prometheus::Format;
use telemetry_core::{Config, context};
use utoipa_actix_web::service_config::ServiceConfig;

/// A service with nothing but what every service has.
#[derive(Clone)]
struct Bare;

impl Service for Bare {
    const NAME: &'static str = "bare-service";
    const VERSION: &'static str = "1.2.3";
    const PORT: u16 = 0;
    const MIGRATIONS: EmbeddedMigrations = EmbeddedMigrations::new(&[]);

    type Settings = ();

    fn settings(_: &mut Env) {}

    fn build((): (), _: Parts) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn routes(&self, _: &mut ServiceConfig) {}
}

#[actix_web::test]
async fn a_request_is_in_the_metrics_and_asking_for_them_is_not() {
    let app = TestApp::spawn::<Bare>([]).await;
    app.get("/").send().await.json(200);
    let requests = app.traces(1).await;

    for _ in 0..2 {
        let answer = app.get("/metrics").send().await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        let labels = concat!(
            r#"http_request_method="GET",http_response_status_code="200",http_route="/","#,
            r#"network_protocol_version="1.1",otel_scope_name="telemetry-core",url_scheme="http""#,
        );
        for line in [
            "# TYPE http_server_request_duration_seconds histogram".to_owned(),
            format!(r#"http_server_request_duration_seconds_bucket{{{labels},le="10"}} 1"#),
            format!("http_server_request_duration_seconds_count{{{labels}}} 1"),
        ] {
            assert!(answer.text.lines().any(|told| told == line), "{line} is missing in\n{}", answer.text);
        }
        assert!(!answer.text.contains(r#"http_route="/metrics""#), "{}", answer.text);
        assert!(answer.text.contains("\ndb_client_connection_count{"), "{}", answer.text);
    }
    assert_eq!(app.telemetry.trees().len(), requests.len(), "asking for metrics is not traced");
}

#[actix_web::test]
async fn whoever_asks_for_open_metrics_gets_the_traces_of_its_requests() {
    let app = TestApp::spawn::<Bare>([]).await;
    app.get("/").send().await.json(200);
    let [request] = app.traces(1).await.try_into().unwrap();

    let answer = app
        .get("/metrics")
        .with(|request| request.header("accept", "application/openmetrics-text"))
        .send()
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.header("vary").split(", ").any(|name| name == "accept"), "{}", answer.header("vary"));
    assert!(answer.text.ends_with("\n# EOF\n"), "{}", answer.text);
    let spans = app.telemetry.spans();
    let span = spans.iter().find(|span| span.name == request.name).unwrap();
    let (trace, span) = (span.span_context.trace_id(), span.span_context.span_id());
    let exemplar = format!(" # {{trace_id=\"{trace}\",span_id=\"{span}\"}} ");
    let has_it = |line: &&str| line.contains(&exemplar);
    let [line] = answer.text.lines().filter(has_it).collect::<Vec<_>>()[..] else {
        panic!("{}", answer.text)
    };
    assert!(line.starts_with("http_server_request_duration_seconds_bucket{"), "{line}");
}

#[actix_web::test]
async fn the_document_has_the_metrics() {
    let app = TestApp::spawn::<Bare>([]).await;
    let document = app.get("/api-docs/openapi.json").send().await.json(200);
    let answers = &document["paths"]["/metrics"]["get"]["responses"];
    for format in [Format::Text, Format::OpenMetrics] {
        assert!(answers["200"]["content"].get(format.content_type()).is_some(), "{answers}");
    }
}

#[actix_web::test]
async fn a_service_without_metrics_says_so() {
    let database = TestDatabase::new();
    let mut env = Env::of([
        ("PORT", "0"),
        ("WORKERS", "1"),
        ("DATABASE_URL", database.url()),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    let config = Config::read(Bare::NAME, Bare::VERSION, &mut env);
    let settings = Settings::<Bare>::read(&mut env);
    env.finish().unwrap();
    let telemetry = telemetry_core::init(config).unwrap();
    let app = App::build(settings, &telemetry).await.unwrap();
    let (url, stopper) = (format!("http://{}/metrics", app.address()), app.stopper());
    let app = context::spawn_local(app.run());

    let answer = telemetry.client().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "metrics_disabled");
    stopper.stop().await;
    app.await.unwrap().unwrap();
}
