//! Spans and metrics on standard output, for people.

mod metrics;
#[cfg(test)]
mod page;
mod queue;
mod spans;
mod tree;

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, Local};
use opentelemetry::KeyValue;

pub(super) use metrics::Metrics;
pub(super) use queue::ConsoleSpans;

/// Where lines go. A reader that went away (a closed pipe) costs the lines and nothing else.
pub(super) struct Output(Mutex<Box<dyn Write + Send>>);

impl Output {
    pub(super) fn stdout() -> Self {
        Self::to(std::io::stdout())
    }

    fn to(writer: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(writer)))
    }

    /// Writes whole lines at once, so that they do not mix with those of others.
    fn print(&self, lines: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writer.write_all(lines.as_bytes()).and_then(|()| writer.flush());
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}

/// The wall clock's time, as a person reads it.
fn local_time(time: SystemTime) -> impl std::fmt::Display {
    DateTime::<Local>::from(time).format("%H:%M:%S%.3f")
}

/// `key=value`, on one line and not endless.
fn attribute(attribute: &KeyValue) -> String {
    const LONGEST: usize = 120;
    let value = attribute.value.to_string();
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}={}…", attribute.key, &value[..end]),
        None => format!("{}={value}", attribute.key),
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind::BrokenPipe;

    use super::*;

    #[test]
    fn a_reader_that_went_away_costs_only_the_lines() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(BrokenPipe.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Err(BrokenPipe.into())
            }
        }
        Output::to(Closed).print("a line\n");
    }
}
