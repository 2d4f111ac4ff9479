//! Log lines with the trace they belong to: for people (text) and for machines (JSON).

use std::error::Error;
use std::fmt::{self, Write as _};

use chrono::{SecondsFormat, Utc};
use serde_json::{Map, Number, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::span::{error_chain, ids};
use crate::subscriber::is_place;

/// `2026-11-22T19:47:03.123Z  INFO order_service: order confirmed order.id=… trace_id=… span_id=…`
pub(crate) struct Text;

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let logged = event.normalized_metadata();
        let metadata = logged.as_ref().unwrap_or_else(|| event.metadata());
        let (dim, colour, reset) = if writer.has_ansi_escapes() {
            ("\x1b[2m", level_colour(*metadata.level()), "\x1b[0m")
        } else {
            ("", "", "")
        };
        write!(writer, "{dim}{}{reset} {colour}{:>5}{reset} ", timestamp(), metadata.level())?;
        write!(writer, "{dim}{}:{reset}", metadata.target())?;
        let mut fields =
            TextFields { writer: writer.by_ref(), dim, reset, is_logged: logged.is_some(), written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        if let Some((trace_id, span_id)) = ids() {
            write!(writer, " {dim}trace_id={trace_id} span_id={span_id}{reset}")?;
        }
        writeln!(writer)
    }
}

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG | Level::TRACE => "\x1b[34m",
    }
}

struct TextFields<'w> {
    writer: Writer<'w>,
    dim: &'static str,
    reset: &'static str,
    is_logged: bool,
    written: fmt::Result,
}

impl TextFields<'_> {
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.written.is_err() || (self.is_logged && is_place(field)) {
            return;
        }
        let Self { writer, dim, reset, .. } = self;
        let name = match field.name() {
            "message" => write!(writer, " "),
            name => write!(writer, " {dim}{name}={reset}"),
        };
        self.written = name.and_then(|()| Harmless(&mut self.writer).write_fmt(value));
    }
}

impl Visit for TextFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.write(field, format_args!("{value}"));
        } else {
            self.write(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write(field, format_args!("{:?}", error_chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, format_args!("{value:?}"));
    }
}

/// Lets no text command the terminal: control characters are written as escapes, but for the new line and the tab.
struct Harmless<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
        let mut rest = text;
        while let Some(place) = rest.find(is_control) {
            let (harmless, from) = rest.split_at(place);
            self.0.write_str(harmless)?;
            let mut characters = from.chars();
            if let Some(control) = characters.next() {
                write!(self.0, "{}", control.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// One JSON object a line: `timestamp`, `level`, `target`, `message`, the event's fields, and
/// `trace_id` and `span_id` inside a span.
pub(crate) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let logged = event.normalized_metadata();
        let metadata = logged.as_ref().unwrap_or_else(|| event.metadata());
        let mut fields = JsonFields { line: Map::new(), is_logged: logged.is_some() };
        event.record(&mut fields);
        // Ours last: no field may take the place of what the line says about itself.
        let mut line = fields.line;
        line.insert("timestamp".into(), timestamp().into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), metadata.target().into());
        if let Some((trace_id, span_id)) = ids() {
            line.insert("trace_id".into(), trace_id.into());
            line.insert("span_id".into(), span_id.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct JsonFields {
    line: Map<String, Value>,
    is_logged: bool,
}

impl JsonFields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        if !(self.is_logged && is_place(field)) {
            self.line.insert(field.name().to_owned(), value.into());
        }
    }
}

impl Visit for JsonFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinity and nothing that is no number.
        self.insert(field, Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.insert(field, error_chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

/// Formats no span's fields: lines do not show them, so nobody should pay for their text.
pub(crate) struct NoSpanFields;

impl<'w> FormatFields<'w> for NoSpanFields {
    fn format_fields<R: RecordFields>(&self, _writer: Writer<'w>, _fields: R) -> fmt::Result {
        Ok(())
    }
}

fn timestamp() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}
