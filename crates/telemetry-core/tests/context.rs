//! The trace goes where work goes: each helper beside the raw function that loses it.

use std::time::Duration;

use diesel::prelude::*;
use diesel::r2d2::ConnectionManager;
use diesel::sql_types::Text;
use futures_util::{StreamExt, stream};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanId, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use telemetry_core::config::Propagator;
use telemetry_core::db::{Database, PoolOptions};
use telemetry_core::propagation::Propagation;
use telemetry_core::server::websocket::MessageKind;
use telemetry_core::testing::TestTelemetry;
use telemetry_core::{context, opentelemetry, span};
use tracing::Instrument;

/// The trace and the tenant that are current where this runs.
fn here() -> Option<(String, Option<String>)> {
    let (trace_id, _) = span::ids()?;
    let tenant = Context::map_current(|cx| cx.baggage().get("tenant.id").map(|id| id.as_str().to_owned()));
    Some((trace_id, tenant))
}

/// Runs `work` in a trace of its own with a tenant; answers with what [`here`] must find, too.
async fn in_trace<T>(
    telemetry: &TestTelemetry,
    work: impl AsyncFnOnce() -> T,
) -> (T, Option<(String, Option<String>)>) {
    let root = Context::new()
        .with_span(telemetry.tracer().start("root"))
        .with_baggage([KeyValue::new("tenant.id", "t-1")]);
    let found = opentelemetry::context::FutureExt::with_context(work(), root.clone()).await;
    let trace_id = root.span().span_context().trace_id().to_string();
    (found, Some((trace_id, Some("t-1".to_owned()))))
}

#[actix_web::test]
#[expect(clippy::disallowed_methods, reason = "that they lose the trace is what is shown")]
async fn the_raw_functions_lose_the_trace_and_ours_keep_it() {
    let telemetry = TestTelemetry::new();
    let later = async || {
        tokio::task::yield_now().await;
        here()
    };
    let (found, wanted) = in_trace(&telemetry, async || {
        [
            context::spawn(later()).await.unwrap(),
            context::spawn_local(later()).await.unwrap(),
            context::blocking(here).await,
            telemetry.detached(later()).await,
            tokio::spawn(context::in_current(later())).await.unwrap(),
            tokio::spawn(context::stream_in_current(stream::once(later())).collect::<Vec<_>>())
                .await
                .unwrap()
                .remove(0),
        ]
    })
    .await;
    assert_eq!(found, [(); 6].map(|()| wanted.clone()));

    let (lost, _) = in_trace(&telemetry, async || {
        [
            tokio::spawn(later()).await.unwrap(),
            actix_web::rt::spawn(later()).await.unwrap(),
            tokio::task::spawn_local(later()).await.unwrap(),
            tokio::task::spawn_blocking(here).await.unwrap(),
            actix_web::web::block(here).await.unwrap(),
            std::thread::spawn(here).join().unwrap(),
            tokio::spawn(stream::once(later()).collect::<Vec<_>>()).await.unwrap().remove(0),
        ]
    })
    .await;
    assert_eq!(lost, [(); 7].map(|()| None));
}

#[tokio::test]
async fn a_background_task_is_a_span_of_the_trace_that_left_it() {
    let telemetry = TestTelemetry::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let ((), wanted) = in_trace(&telemetry, async || {
        telemetry.background("send_email", async move {
            tokio::task::yield_now().await;
            sender.send(here()).unwrap();
        });
    })
    .await;
    assert_eq!(receiver.await.unwrap(), wanted);
}

#[tokio::test]
async fn a_stream_carries_tracings_span_too_at_every_poll() {
    let telemetry = TestTelemetry::new();
    let _tracing = telemetry.collect_tracing();
    let numbers = stream::unfold(0, async |number| {
        tokio::task::yield_now().await;
        let name = tracing::Span::current().metadata().map(tracing::Metadata::name);
        (number < 2).then_some(((name, here().is_some()), number + 1))
    });
    let carried = async { context::stream_in_current(numbers) };
    let carried = carried.instrument(tracing::info_span!("subscribe")).await;
    assert_eq!(carried.collect::<Vec<_>>().await, [(Some("subscribe"), true); 2]);
}

#[tokio::test]
async fn work_that_goes_on_later_has_a_trace_of_its_own_that_links_back() {
    let telemetry = TestTelemetry::with_propagation(Propagation::new(&[Propagator::TraceContext]));
    let stored = telemetry.tracer().in_span("request", |_| span::traceparent().unwrap());
    let ((), _) = in_trace(&telemetry, async || {
        telemetry.background_linked("finish_order", &stored, async {
            let mut headers = std::collections::HashMap::new();
            let propagation = Propagation::new(&[Propagator::TraceContext]);
            Context::map_current(|cx| {
                opentelemetry::propagation::TextMapPropagator::inject_context(&propagation, cx, &mut headers);
            });
            assert!(headers["traceparent"].ends_with("-03"), "its id is random: {headers:?}");
        });
        telemetry.background_linked("find_nothing", "not a traceparent", async {});
    })
    .await;
    assert!(telemetry.background_done(Duration::from_secs(9)).await);

    let spans = telemetry.spans();
    let find = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let (request, finish, nothing) = (find("request"), find("finish_order"), find("find_nothing"));
    let [link] = &finish.links[..] else { panic!("one link: {:?}", finish.links) };
    assert_eq!(link.span_context.trace_id(), request.span_context.trace_id());
    assert_eq!(link.span_context.span_id(), request.span_context.span_id());
    assert!(nothing.links.is_empty());
    for span in [finish, nothing] {
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{} is a root", span.name);
        assert_ne!(span.span_context.trace_id(), request.span_context.trace_id());
        let tenant = span.attributes.iter().find(|attribute| attribute.key.as_str() == "tenant.id");
        assert_eq!(tenant.map(|tenant| &tenant.value), Some(&Value::from("t-1")), "baggage goes along");
    }
    assert_eq!(finish.status, opentelemetry::trace::Status::Unset, "the task's assertion held");
}

#[tokio::test]
async fn what_a_service_says_of_a_tenant_is_not_crowded_out_and_metadata_stays() {
    let mut full = opentelemetry::baggage::Baggage::new();
    for number in 0..64 {
        full.insert_with_metadata(format!("k{number}"), "v", "p=1");
    }
    full.insert("tenant.id", "forged");
    let cx = Context::new().with_baggage(full);
    let inside = context::with_baggage([KeyValue::new("tenant.id", "t-1")], async {
        Context::map_current(|cx| {
            let baggage = cx.baggage();
            let metadata = baggage.iter().filter(|(_, (_, metadata))| metadata.as_str() == "p=1").count();
            (baggage.get("tenant.id").map(ToString::to_string), baggage.len(), metadata)
        })
    });
    let _current = cx.attach();
    assert_eq!(inside.await, (Some("t-1".to_owned()), 64, 63));
}

/// The trace that is current where this runs.
fn trace() -> Option<String> {
    here().map(|(trace_id, _)| trace_id)
}

#[tokio::test]
async fn the_trace_survives_an_await() {
    let telemetry = TestTelemetry::new();
    let (found, wanted) = in_trace(&telemetry, async || {
        let before = here();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(here(), before);
        here()
    })
    .await;
    assert_eq!(found, wanted);
    assert_eq!(here(), None, "and nothing of it stays behind");
}

#[tokio::test]
async fn the_trace_survives_a_spawn() {
    let telemetry = TestTelemetry::new();
    let (found, wanted) =
        in_trace(&telemetry, async || context::spawn(async { here() }).await.unwrap()).await;
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn the_trace_survives_a_blocking_thread() {
    let telemetry = TestTelemetry::new();
    let (found, wanted) = in_trace(&telemetry, async || context::blocking(here).await).await;
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn the_trace_survives_in_a_stream() {
    let telemetry = TestTelemetry::new();
    let (stream, wanted) = in_trace(&telemetry, async || {
        context::stream_in_current(stream::iter(0..2).then(async |_| here())).boxed()
    })
    .await;
    // Whoever reads it later is in no trace.
    assert_eq!(stream.collect::<Vec<_>>().await, [wanted.clone(), wanted]);
}

#[actix_web::test]
async fn a_websockets_message_knows_the_connection_by_a_link_and_its_tenant_by_baggage() {
    let telemetry = TestTelemetry::new();
    let request = actix_web::test::TestRequest::get().to_http_request();
    let mut upgrade = actix_web::HttpResponse::SwitchingProtocols().finish();
    let (socket, wanted) =
        in_trace(&telemetry, async || telemetry.websockets().observe(&request, &mut upgrade)).await;
    let found = socket.received(MessageKind::Text, 4, async { here() }).await;
    let ((own, tenant), (connection, wanted_tenant)) = (found.unwrap(), wanted.unwrap());
    assert_eq!(tenant, wanted_tenant);
    assert_ne!(own, connection);
    let spans = telemetry.spans();
    let message = spans.iter().find(|span| span.span_context.trace_id().to_string() == own).unwrap();
    assert_eq!(message.links[0].span_context.trace_id().to_string(), connection);
}

#[tokio::test]
async fn the_trace_survives_in_a_row_of_the_database() {
    let telemetry = TestTelemetry::new();
    let url = "sqlite://:memory:";
    let options = PoolOptions { max_size: 1, ..PoolOptions::default() };
    let manager = ConnectionManager::<SqliteConnection>::new(url);
    let pool = telemetry.pool(manager, Database::from_url(url).unwrap(), options).unwrap();
    let (asked, _) = in_trace(&telemetry, async || {
        let traceparent = span::traceparent().unwrap();
        let store = move |connection: &mut SqliteConnection| {
            diesel::sql_query("CREATE TABLE orders (traceparent TEXT)").execute(connection).unwrap();
            let insert = diesel::sql_query("INSERT INTO orders VALUES (?)").bind::<Text, _>(traceparent);
            insert.execute(connection).unwrap();
        };
        pool.run(store).await.unwrap();
        trace().unwrap()
    })
    .await;

    #[derive(diesel::QueryableByName)]
    struct Order {
        #[diesel(sql_type = Text)]
        traceparent: String,
    }
    let find = |connection: &mut SqliteConnection| {
        diesel::sql_query("SELECT traceparent FROM orders").get_result::<Order>(connection).unwrap()
    };
    let order = pool.run(find).await.unwrap();
    telemetry.background_linked("finish_order", &order.traceparent, async {});
    assert!(telemetry.background_done(Duration::from_secs(9)).await);
    let spans = telemetry.spans();
    let finish = spans.iter().find(|span| span.name == "finish_order").unwrap();
    assert_eq!(finish.links[0].span_context.trace_id().to_string(), asked);
}
