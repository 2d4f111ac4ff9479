//! What a process has one of: where it is somebody else's already, that is told by name. This file is a process of its
//! own, with one test.

use opentelemetry::global;
use opentelemetry::trace::{Span, Tracer};
use telemetry_core::config::Env;
use telemetry_core::{Config, InitError, opentelemetry};

/// Stands for `env_logger` and its like.
struct OtherLogger;

impl log::Log for OtherLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, _: &log::Record<'_>) {}
    fn flush(&self) {}
}

#[test]
fn another_logger_and_another_subscriber_are_each_refused_by_name() {
    let refused = || {
        let config = Config::read("test-service", "1.2.3", &mut Env::of([("RUST_LOG", "warn")]));
        telemetry_core::init(config).err().expect("somebody was here before")
    };
    log::set_logger(&OtherLogger).unwrap();
    let error = refused();
    assert!(matches!(error, InitError::LoggerInstalled), "{error:?}");
    // In the form in which `main` tells what it returns.
    let told = format!("{error:?}");
    assert!(told.contains("remove the other one, such as env_logger::init()"), "{told}");

    // By the first try there is a subscriber now. It is no second call: what failed can be tried again.
    for _ in 0..2 {
        let error = refused();
        assert!(matches!(error, InitError::SubscriberInstalled), "{error:?}");
        assert!(error.to_string().contains("such as tracing_subscriber::fmt().init()"), "{error}");
    }
    assert!(!global::tracer("application").start("span").span_context().is_valid(), "nothing was set up");
}
