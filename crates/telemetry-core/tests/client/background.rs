//! The trace in work that goes on elsewhere.

use std::time::Duration;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use telemetry_core::testing::TestTelemetry;
use telemetry_core::{context, opentelemetry};

#[tokio::test]
async fn the_trace_survives_spawns_blocking_threads_and_background_tasks() {
    let telemetry = TestTelemetry::new();
    let tracer = telemetry.tracer().clone();
    let root =
        Context::new().with_span(tracer.start("root")).with_baggage([KeyValue::new("tenant.id", "t-1")]);
    {
        let _current = root.clone().attach();
        let here = tracer.clone();
        let spawned = context::spawn(async move {
            tokio::task::yield_now().await;
            here.in_span("spawned", |_| ());
        });
        let here = tracer.clone();
        let blocking = context::in_current(context::blocking(move || here.in_span("blocking", |_| ())));
        telemetry.background("send_email", async {
            tokio::task::yield_now().await;
            telemetry_core::span::set_attribute("email.message_length", 12_i64);
        });
        drop(tracer);
        futures_util::future::join(spawned, blocking).await.0.unwrap();
    }
    assert!(telemetry.background_done(Duration::from_secs(5)).await);
    root.span().end();
    let [tree] = telemetry.trees().try_into().unwrap();
    let mut names: Vec<_> = tree.children.iter().map(|child| child.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["blocking", "send_email", "spawned"]);
    assert!(tree.children.iter().all(|child| child.attributes["tenant.id"] == Value::from("t-1")));
}

#[tokio::test]
async fn a_background_task_that_panics_or_is_dropped_has_failed() {
    let telemetry = TestTelemetry::new();
    telemetry.background("panicking", async { panic!("invariant broken") });
    assert!(telemetry.background_done(Duration::from_secs(5)).await);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    {
        let _entered = runtime.enter();
        let dropped = TestTelemetry::new();
        dropped.background("dropped", std::future::pending());
        let telemetry = dropped;
        std::thread::spawn(move || drop(runtime)).join().unwrap();
        let [tree] = telemetry.trees().try_into().unwrap();
        assert_eq!(tree.attributes["error.type"], Value::from("cancelled"));
    }
    let [tree] = telemetry.trees().try_into().unwrap();
    assert_eq!(tree.status, Status::error("the task panicked"));
    assert_eq!(tree.events[0].1["exception.message"], Value::from("invariant broken"));
}
