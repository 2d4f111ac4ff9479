//! Parts of an application's own, which remember what they were given, and processes of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use telemetry_core::opentelemetry::trace::{Link, SpanKind, TraceId};
use telemetry_core::opentelemetry::{Context, InstrumentationScope, KeyValue};
use telemetry_core::opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use telemetry_core::opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use telemetry_core::opentelemetry_sdk::metrics::data::ResourceMetrics;
use telemetry_core::opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use telemetry_core::opentelemetry_sdk::metrics::reader::MetricReader;
use telemetry_core::opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, Temporality};
use telemetry_core::opentelemetry_sdk::trace::{
    Sampler, SamplingResult, ShouldSample, Span, SpanData, SpanExporter, SpanProcessor,
};

const CHILD: &str = "TEST_OWN_PROCESS";

/// Whether this is the process of a test's own.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs the ignored test of this name in a process with these variables alone; it must end well. What it printed.
pub(crate) fn own_process(test: &str, variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().expect("this file"))
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .env(CHILD, "yes")
        .envs(variables.iter().copied())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    assert!(told.contains("1 passed"), "there is a test named {test}: {told}");
    told
}

/// What somebody saw, by name. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub(crate) fn note(&self, name: impl Into<String>) {
        self.0.lock().unwrap().push(name.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().iter().any(|one| one == name)
    }

    fn metrics(&self, metrics: &ResourceMetrics) {
        let all = metrics.scope_metrics().flat_map(|scope| scope.metrics());
        all.for_each(|metric| self.note(metric.name()));
    }
}

/// Spans by name and attributes; log records by their text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exporter(pub(crate) Seen);

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        for span in batch {
            let mut attributes: Vec<String> =
                span.attributes.iter().map(|one| format!(" {}={}", one.key, one.value)).collect();
            attributes.sort();
            self.0.note(span.name.as_ref());
            self.0.note(format!("{}{}", span.name, attributes.concat()));
        }
        Ok(())
    }
}

impl LogExporter for Exporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        batch.iter().for_each(|(record, _)| self.0.note(format!("{:?}", record.body())));
        Ok(())
    }
}

impl PushMetricExporter for Exporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.0.metrics(metrics);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

/// A processor that notes what starts, ends and is logged.
#[derive(Debug, Clone, Default)]
pub(crate) struct Processor(pub(crate) Seen);

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut Span, _: &Context) {
        use telemetry_core::opentelemetry::trace::Span as _;
        span.set_attribute(KeyValue::new("app.marked", true));
    }

    fn on_end(&self, span: SpanData) {
        self.0.note(span.name);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.note("shutdown");
        Ok(())
    }
}

impl LogProcessor for Processor {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.0.note(format!("{:?}", record.body()));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Panics whenever it is called.
#[derive(Debug, Clone)]
pub(crate) struct Broken;

impl SpanProcessor for Broken {
    fn on_start(&self, _: &mut Span, _: &Context) {
        panic!("on_start is broken");
    }

    fn on_end(&self, _: SpanData) {
        panic!("on_end is broken");
    }

    fn force_flush(&self) -> OTelSdkResult {
        panic!("force_flush is broken");
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        panic!("shutdown is broken");
    }
}

impl SpanExporter for Broken {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        panic!("export is broken");
    }
}

impl LogExporter for Broken {
    async fn export(&self, _: LogBatch<'_>) -> OTelSdkResult {
        Err(OTelSdkError::InternalFailure("the disk is full".to_owned()))
    }
}

/// Samples everything, and notes what it was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(pub(crate) Seen);

impl ShouldSample for Asked {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        self.0.note(name);
        Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

/// A reader that its provider shares with the test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader(Arc<ManualReader>);

impl Reader {
    pub(crate) fn names(&self) -> Vec<String> {
        let (mut metrics, seen) = (ResourceMetrics::default(), Seen::default());
        self.0.collect(&mut metrics).expect("it is registered");
        seen.metrics(&metrics);
        seen.all()
    }
}

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// A collector that accepts everything and notes the paths of what it got. Its address.
pub(crate) fn collector(seen: &Seen) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("the listener is bound");
    let seen = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let seen = seen.clone();
            std::thread::spawn(move || answer(stream.expect("loopback connects"), &seen));
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, seen: &Seen) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        reader.read_line(&mut request).ok().filter(|read| *read > 0)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            if header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        seen.note(request.split(' ').nth(1)?);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}
