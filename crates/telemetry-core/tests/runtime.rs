//! Metrics of the process and its runtimes. This file is a process of its own, with one test.

#[expect(dead_code, reason = "other tests use more of it")]
mod support;

use std::net::Ipv4Addr;

use actix_web::{App, HttpServer};
use telemetry_core::config::Env;
use telemetry_core::{Config, context};

use support::eventually;

#[actix_web::test]
async fn the_workers_of_a_server_are_told_of_while_it_runs() {
    let mut env = Env::of([
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("RUST_LOG", "warn"),
    ]);
    let config = Config::read("test-service", "1.2.3", &mut env);
    env.finish().unwrap();
    let telemetry = telemetry_core::init(config).unwrap();
    let text = || telemetry.prometheus().expect("metrics are made");
    let workers = |count: usize| {
        let series = format!("tokio_workers{{otel_scope_name=\"telemetry-core\"}} {count}\n");
        text().contains(&series)
    };
    assert!(workers(1), "the runtime of this test: {}", text());

    let middleware = telemetry.server();
    let server = HttpServer::new(move || App::new().wrap(middleware.clone()))
        .workers(3)
        .disable_signals()
        .bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .run();
    let handle = server.handle();
    let server = context::spawn_local(server);
    eventually("three workers more", || workers(4)).await;
    #[cfg(target_os = "linux")]
    assert!(text().contains("# TYPE process_cpu_time_seconds_total counter"), "{}", text());

    handle.stop(true).await;
    server.await.unwrap().unwrap();
    eventually("no workers any more", || workers(1)).await;
}
