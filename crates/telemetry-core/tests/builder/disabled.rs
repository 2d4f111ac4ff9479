//! `OTEL_SDK_DISABLED=true`: a service in the middle that is not there.

use actix_web::{HttpRequest, HttpResponse, web};
use reqwest_middleware::ClientWithMiddleware;
use telemetry_core::Telemetry;
use telemetry_core::opentelemetry::trace::TraceContextExt as _;

use crate::harness::{is_child, own_process};
use crate::support::TestServer;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
#[ignore = "needs a process of its own; the next starts it"]
async fn passes_on_what_came() {
    assert!(is_child());
    let telemetry = Telemetry::builder("test-service", "1.2.3").init().expect("it starts");
    let routes = |client: ClientWithMiddleware| {
        move |app: &mut web::ServiceConfig| {
            app.app_data(web::Data::new(client.clone()))
                .route("/front", web::get().to(front))
                .route("/back", web::get().to(back));
        }
    };
    let server = TestServer::start(telemetry.clone(), routes(telemetry.client()));
    let plain = reqwest::Client::new();
    let front = || plain.get(server.url("/front"));
    let of_caller = front().header("traceparent", TRACEPARENT).header("baggage", "a=1").send();
    for (who, answer) in [("caller", of_caller.await), ("nobody", front().send().await)] {
        let answer = answer.expect("an answer");
        let told = answer.headers().contains_key("traceresponse");
        println!("{who}: {} traceresponse {told}", answer.text().await.expect("a body"));
    }
    let (sender, linked) = tokio::sync::oneshot::channel();
    telemetry.background_linked(
        "later",
        TRACEPARENT,
        async move { sender.send(is_in_a_trace()).expect("read") },
    );
    let untraced = telemetry.untraced(async { is_in_a_trace() }).await;
    println!("linked: in a trace {}, untraced: in a trace {untraced}", linked.await.expect("it runs"));
}

fn is_in_a_trace() -> bool {
    telemetry_core::opentelemetry::Context::current().span().span_context().is_valid()
}

/// Asks the service itself, and tells the trace it was in meanwhile.
async fn front(request: HttpRequest, client: web::Data<ClientWithMiddleware>) -> HttpResponse {
    let back = format!("http://{}/back", request.connection_info().host());
    let answer = client.get(back).send().await.expect("an answer");
    let here = is_in_a_trace();
    HttpResponse::Ok().body(format!("{} in a trace {here}", answer.text().await.expect("a body")))
}

/// What came along.
async fn back(request: HttpRequest) -> String {
    let header =
        |name: &str| request.headers().get(name).map_or("none", |value| value.to_str().expect("a text"));
    format!("{} {}", header("traceparent"), header("baggage"))
}

#[test]
fn a_disabled_telemetry_passes_on_a_callers_trace_and_begins_none() {
    let told = own_process("disabled::passes_on_what_came", &[("OTEL_SDK_DISABLED", "true")]);
    let caller = format!("caller: {TRACEPARENT} a=1 in a trace true traceresponse false\n");
    assert!(told.contains(&caller), "{told}");
    assert!(told.contains("nobody: none none in a trace false traceresponse false\n"), "{told}");
    assert!(told.contains("linked: in a trace false, untraced: in a trace false\n"), "{told}");
}
