//! From a `tracing` event to an OpenTelemetry log record.

use std::error::Error;
use std::fmt::Debug;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_semantic_conventions::attribute;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::is_export_path;
use crate::span::{chain, cut, own_text, stacktrace};

/// Makes each event a log record of OpenTelemetry's current span.
///
/// The message is the body, the target the scope; fields are attributes of their own types, an error is the
/// `exception.*` of the conventions ("Exceptions in logs"), and `code.*` says where the event stands in the source.
/// Fields of spans are not copied: a record tells what its event names.
#[derive(Debug)]
pub(crate) struct LogRecords {
    logger: SdkLogger,
}

impl LogRecords {
    pub(crate) fn new(provider: &SdkLoggerProvider) -> Self {
        Self { logger: provider.logger("") }
    }
}

impl<S: Subscriber> Layer<S> for LogRecords {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        // What comes by the `log` crate has its place in fields.
        let logged = event.normalized_metadata();
        let target = logged.as_ref().map_or(metadata.target(), |logged| logged.target());
        let severity = severity(*metadata.level());
        if is_export_path(target) || !self.logger.event_enabled(severity, target, None) {
            return;
        }
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(severity);
        record.set_severity_text(metadata.level().as_str());
        let (file, line): (Option<AnyValue>, _) = match &logged {
            None => {
                record.set_target(metadata.target());
                // A name that nobody gave is the event's place, and `code.*` says that.
                if !metadata.name().starts_with("event ") {
                    record.set_event_name(metadata.name());
                }
                (metadata.file().map(|file| source_path(file).into()), metadata.line())
            }
            Some(logged) => {
                record.set_target(logged.target().to_owned());
                (logged.file().map(|file| source_path(file).to_owned().into()), logged.line())
            }
        };
        let mut fields = Fields { record, is_logged: logged.is_some(), has_exception: false };
        event.record(&mut fields);
        let mut record = fields.record;
        if let Some(file) = file {
            record.add_attribute(attribute::CODE_FILE_PATH, file);
        }
        if let Some(line) = line {
            record.add_attribute(attribute::CODE_LINE_NUMBER, i64::from(line));
        }
        self.logger.emit(record);
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

/// The path of a source file. Of a dependency's, what follows the place where the compiling machine keeps packages:
/// `hyper-1.9.0/src/error.rs`.
pub(super) fn source_path(file: &str) -> &str {
    let registry = ["/registry/src/", "\\registry\\src\\"];
    let in_registry = registry.into_iter().find_map(|registry| file.split_once(registry));
    in_registry.and_then(|(_, path)| path.split_once(['/', '\\'])).map_or(file, |(_, path)| path)
}

/// Whether a field of an event that came by the `log` crate says where it came from.
pub(crate) fn is_place(field: &Field) -> bool {
    matches!(field.name(), "log.target" | "log.module_path" | "log.file" | "log.line")
}

/// Puts an event's fields into a record.
struct Fields {
    record: SdkLogRecord,
    is_logged: bool,
    has_exception: bool,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<AnyValue>) {
        if field.name() == "message" {
            self.record.set_body(value.into());
        } else if !(self.is_logged && is_place(field)) {
            self.record.add_attribute(field.name(), value);
        }
    }

    /// A number as such where OpenTelemetry has room for it, else as text.
    fn add_integer<N: Copy + ToString + TryInto<i64>>(&mut self, field: &Field, number: N) {
        match number.try_into() {
            Ok(number) => self.add(field, AnyValue::Int(number)),
            Err(_) => self.add(field, number.to_string()),
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add_integer(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.add_integer(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.add_integer(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.add(field, value);
    }

    /// The first error is the record's exception. Nobody knows its type: a `dyn Error` has none.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.has_exception {
            return self.add(field, cut(chain(value, ": ")));
        }
        self.has_exception = true;
        self.record.add_attribute(attribute::EXCEPTION_MESSAGE, cut(own_text(value)));
        self.record.add_attribute(attribute::EXCEPTION_STACKTRACE, stacktrace(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !(self.is_logged && is_place(field)) {
            self.add(field, format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::source_path;

    #[test]
    fn a_source_path_tells_nothing_of_the_machine_that_compiled_it() {
        for (file, path) in [
            ("services/order/src/main.rs", "services/order/src/main.rs"),
            (
                "/home/ann/.cargo/registry/src/index-1cd66030c949c28d/hyper-1.9.0/src/error.rs",
                "hyper-1.9.0/src/error.rs",
            ),
            (
                r"C:\Users\ann\.cargo\registry\src\index-1\hyper-1.9.0\src\error.rs",
                r"hyper-1.9.0\src\error.rs",
            ),
        ] {
            assert_eq!(source_path(file), path);
        }
    }
}
