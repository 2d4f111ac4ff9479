//! The testing kit itself: it sees what is there, and says so readably.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::{App, web};
use diesel::SqliteConnection;
use diesel::r2d2::ConnectionManager;
use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use telemetry_core::db::{Database, PoolOptions};
use telemetry_core::opentelemetry_sdk::trace::Sampler;
use telemetry_core::testing::{TestTelemetry, assert_same_trees, span};
use telemetry_core::{Telemetry, context, opentelemetry};

/// What the assertion says as it fails.
fn failure(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("the assertion is to fail");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn a_difference_is_shown_as_one_text_with_marked_lines() {
    let found = span("GET /x", SpanKind::Server)
        .attribute("http.response.status_code", 500_i64)
        .attribute("server.port", 4711_i64)
        .status(Status::error("500"))
        .event("exception", [KeyValue::new("exception.type", "boom")])
        .child(span("SELECT x", SpanKind::Client).attribute("db.rows", 1_i64).link("ask", []))
        .child(span("late", SpanKind::Internal));
    let expected = span("GET /x", SpanKind::Server)
        .attribute("http.response.status_code", 200_i64)
        .any(["server.port"])
        .child(span("SELECT x", SpanKind::Client).attribute("db.rows", "1").link("ask", []));
    let message = failure(|| assert_same_trees(&[found], &[expected]));
    let wanted = r#"the span trees differ
- expected, not found
+ found, not expected

  "GET /x" SERVER
-   http.response.status_code = 200
+   status error "500"
+   http.response.status_code = 500
    server.port = 4711
+   event "exception"
+     exception.type = "boom"
    "SELECT x" CLIENT
-     db.rows = "1"
+     db.rows = 1
      link to "ask"
+   "late" INTERNAL
"#;
    assert_eq!(message, wanted);
}

#[test]
fn an_attribute_of_any_value_must_be_there() {
    let expected = span("work", SpanKind::Internal).any(["id"]);
    assert_same_trees(
        &[span("work", SpanKind::Internal).attribute("id", 1_i64)],
        std::slice::from_ref(&expected),
    );
    let message = failure(|| assert_same_trees(&[span("work", SpanKind::Internal)], &[expected]));
    assert!(message.ends_with("  \"work\" INTERNAL\n-   id = (any)\n"), "{message}");
}

#[tokio::test]
async fn trees_are_waited_for_with_their_links() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer().clone();
    let later = telemetry_core::context::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let elsewhere = SpanContext::new(
            TraceId::from(1),
            SpanId::from(2),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let asking = tracer.in_span("ask", |context| context.span().span_context().clone());
        let links = vec![
            Link::new(asking, vec![KeyValue::new("why", "resumed")], 0),
            Link::new(elsewhere, Vec::new(), 0),
        ];
        drop(tracer.build_with_context(SpanBuilder::from_name("answer").with_links(links), &Context::new()));
    });
    telemetry
        .assert_trees([
            span("ask", SpanKind::Internal),
            span("answer", SpanKind::Internal)
                .link("ask", [KeyValue::new("why", "resumed")])
                .link("00000000000000000000000000000001-0000000000000002", []),
        ])
        .await;
    assert_eq!(telemetry.finished(2).await.len(), 2);
    later.await.expect("it ends");
}

#[tokio::test]
async fn a_key_that_is_set_twice_has_its_last_value() {
    let telemetry = TestTelemetry::new();
    telemetry.tracer().in_span("work", |_| {
        telemetry_core::span::set_attribute("step", 1_i64);
        telemetry_core::span::set_attribute("step", 2_i64);
    });
    telemetry.assert_trees([span("work", SpanKind::Internal).attribute("step", 2_i64)]).await;
}

#[test]
fn a_metric_that_is_not_there_is_told_with_those_that_are() {
    let telemetry = TestTelemetry::new();
    let orders = telemetry.meter().u64_counter("orders").build();
    orders.add(2, &[KeyValue::new("kind", "express")]);
    orders.add(3, &[KeyValue::new("kind", "standard")]);
    assert_eq!(telemetry.metric("orders").with("kind", "express").value(), 2.0);
    assert_eq!(telemetry.metric("orders").series().len(), 2);
    let message = failure(|| drop(telemetry.metric("orders").with("kind", "slow").one()));
    assert_eq!(
        message,
        "0 series instead of one of orders kind=\"slow\"; there is\n  \
         orders kind=\"express\": count 1, value 2 \n  orders kind=\"standard\": count 1, value 3 "
    );
    let message = failure(|| drop(telemetry.metric("order").one()));
    assert_eq!(message, "0 series instead of one of order; there is no such metric, only: orders");
    failure(|| telemetry.metric("orders").with("kind", "express").assert_absent());
}

#[test]
fn a_log_that_is_not_there_is_told_with_those_that_are() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    tracing::warn!("sold out");
    assert_eq!(telemetry.log("sold out").severity, "WARN");
    let message = failure(|| drop(telemetry.log("sold")));
    assert!(
        message.starts_with("0 log records instead of one say \"sold\"; there is\n  WARN \"sold out\" code.")
    );
}

const CANARY: &str = "canary-9f3 x@y";

/// Each way out, with a canary in it, in several forms.
#[test]
fn a_canary_is_found_wherever_it_comes_out() {
    type Leak = fn(&TestTelemetry);
    let leaks: [(&str, Leak); 12] = [
        ("a span's name", |test| test.tracer().in_span(CANARY, |_| ())),
        ("the attribute a of the span", |test| {
            test.tracer().in_span("s", |_| telemetry_core::span::set_attribute("a", CANARY));
        }),
        ("an attribute's name of the span", |test| {
            test.tracer().in_span("s", |_| telemetry_core::span::set_attribute(CANARY, 1_i64));
        }),
        ("the attribute a of the span", |test| {
            test.tracer().in_span("s", |_| telemetry_core::span::set_attribute("a", "q=canary-9f3%20x%40Y"));
        }),
        ("the status of the span", |test| {
            test.tracer().in_span("s", |context| context.span().set_status(Status::error(CANARY)));
        }),
        ("the attribute a of the event \"e\" of the span", |test| {
            let attributes = vec![KeyValue::new("a", CANARY)];
            test.tracer().in_span("s", |context| context.span().add_event("e", attributes));
        }),
        ("the tracestate of a link of the span", |test| {
            let state = TraceState::from_key_value([("k", CANARY)]).expect("a tracestate");
            let to = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, state);
            test.tracer().in_span("s", |context| context.span().add_link(to, Vec::new()));
        }),
        ("the tracestate of the span", |test| {
            let state = TraceState::from_key_value([("k", CANARY)]).expect("a tracestate");
            let to = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, state);
            let parent = Context::new().with_remote_span_context(to);
            drop(test.tracer().build_with_context(SpanBuilder::from_name("s"), &parent));
        }),
        ("a log record's body", |test| {
            let _tracing = test.collect_tracing();
            tracing::info!("signed in {CANARY}");
        }),
        ("the field a of the log record", |test| {
            let _tracing = test.collect_tracing();
            // {CANARY}: with three letters before it, base64.
            tracing::info!(a = "am9lY2FuYXJ5LTlmMyB4QHk=", "signed in");
        }),
        ("the attribute a of the metric", |test| {
            test.meter().u64_counter("n").build().add(1, &[KeyValue::new("a", CANARY)]);
        }),
        ("the description of the metric", |test| {
            test.meter().u64_counter("n").with_description(CANARY).build().add(1, &[]);
        }),
    ];
    for (place, leak) in leaks {
        let telemetry = TestTelemetry::new();
        leak(&telemetry);
        telemetry.assert_absent("another canary");
        let message = failure(|| telemetry.assert_all_absent(["another canary", CANARY]));
        assert!(message.starts_with(&format!("{CANARY:?} leaked into {place}")), "{place}: {message}");
    }
}

#[test]
fn what_a_span_lost_cannot_be_said_to_hold_no_canary() {
    let telemetry = TestTelemetry::new();
    telemetry.tracer().in_span("full", |_| {
        for index in 0..200 {
            telemetry_core::span::set_attribute(format!("a{index}"), 1_i64);
        }
    });
    let message = failure(|| telemetry.assert_absent(CANARY));
    assert_eq!(message, "the span \"full\" lost 72 attributes, events or links unseen");
}

#[tokio::test]
async fn work_on_blocking_threads_is_collected_with_the_test_that_gave_it() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let name = "sqlite://:memory:";
    let manager = ConnectionManager::<SqliteConnection>::new(name);
    let pool = telemetry.pool(manager, Database::from_url(name).unwrap(), PoolOptions::default()).unwrap();
    let work = || tracing::info_span!("inside").in_scope(|| tracing::info!("from a blocking thread"));
    pool.run(move |_| work()).await.unwrap();
    context::blocking(|| tracing::info!("from another")).await;
    assert_eq!(telemetry.log("from a blocking thread").span.as_deref(), Some("inside"));
    assert_eq!(telemetry.log("from another").severity, "INFO");
    telemetry.assert_trees([span("inside", SpanKind::Internal)]).await;
}

#[actix_web::test]
async fn telemetry_made_from_a_builder_does_what_the_program_does() {
    let builder = Telemetry::builder("shop", "1.0.0")
        .excluded_paths(["/ping"])
        .capture_server_request_headers(["x-app-*"])
        .setting("OTEL_PROPAGATORS", "b3")
        .setting("BAGGAGE_ATTRIBUTES", "cart.id")
        .sampler(Sampler::AlwaysOff)
        .on_server_request(|_, span| span.set_attribute(KeyValue::new("app.hooked", true)))
        .on_client_request(|_, span| span.set_attribute(KeyValue::new("app.hooked", true)));
    let telemetry = TestTelemetry::with_builder(builder);
    let client = telemetry.client();
    let ask = move || {
        let client = client.clone();
        async move {
            let entries = [KeyValue::new("cart.id", "c-1"), KeyValue::new("tenant.id", "t-1")];
            // Nobody listens there.
            let asked = client.get("http://127.0.0.1:1/").send();
            if context::with_baggage(entries, asked).await.is_ok() { "answered" } else { "asked" }
        }
    };
    let app = App::new().route("/ping", web::get().to(async || "pong")).route("/ask", web::get().to(ask));
    let app = init_service(app.wrap(telemetry.server())).await;
    for path in ["/ping", "/ask"] {
        let caller = ("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1");
        let request = TestRequest::get().uri(path).insert_header(caller);
        call_and_read_body(&app, request.insert_header(("x-app-version", "7")).to_request()).await;
    }
    let [request] = telemetry.finished(1).await.try_into().expect("the path that is not excluded");
    assert_eq!(request.attributes["http.request.header.x-app-version"].to_string(), "[\"7\"]");
    assert_eq!(request.attributes["app.hooked"], true.into());
    assert_eq!(telemetry.spans()[0].span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    let asked = &request.children[0].attributes;
    assert_eq!((&asked["app.hooked"], &asked["cart.id"]), (&true.into(), &"c-1".into()));
    assert_eq!(asked.get("tenant.id"), None);
}

#[test]
#[should_panic = "the configuration has 1 mistake\n  OTEL_BSP_MAX_QUEUE_SIZE=0: expected a whole number greater than 0"]
fn a_builder_with_a_mistake_is_told_as_the_start_tells_it() {
    TestTelemetry::with_builder(Telemetry::builder("shop", "1.0.0").setting("OTEL_BSP_MAX_QUEUE_SIZE", 0));
}
