//! The queue in front of the console and the thread behind it: whoever ends a span never waits for standard output, as
//! it would where a pipe is full or a terminal is held.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::super::counter::Counter;
use super::super::limits::limit_span;
use super::super::otlp::{Delivered, Outcome};
use super::Output;
use super::spans::line;
use super::tree::Trees;
use crate::config::Signal;

/// More than a person reads in a minute; what is beyond is dropped and counted.
const QUEUE_SIZE: usize = 2048;

/// How long spans wait for their parent to end before they are printed without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a shutdown waits for the console, whatever its deadline: a stalled one must not cost the collector's time.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Prints spans on a thread of its own.
#[derive(Debug)]
pub(in crate::export) struct ConsoleSpans {
    queue: mpsc::Sender<Message>,
    counter: Arc<Counter>,
    flushed: Mutex<bool>,
}

enum Message {
    Span(Box<SpanData>),
    /// Print what waits for its parents too, and say when it is done.
    Flush(SyncSender<()>),
}

impl ConsoleSpans {
    /// Starts the thread. `service` begins each line; texts longer than `value_length` are cut.
    ///
    /// # Errors
    /// Where there is no thread to be had.
    pub(in crate::export) fn start(
        output: Output,
        service: String,
        value_length: Option<usize>,
    ) -> std::io::Result<(Self, Arc<Counter>)> {
        let (queue, messages) = mpsc::channel();
        let counter = Arc::new(Counter::new(Signal::Traces, Some(QUEUE_SIZE)));
        let printer = Printer { output, service, value_length, counter: counter.clone() };
        thread::Builder::new().name("telemetry-console".to_owned()).spawn(move || printer.run(&messages))?;
        let spans = Self { queue, counter: counter.clone(), flushed: Mutex::default() };
        Ok((spans, counter))
    }

    fn flush(&self, timeout: Duration) -> OTelSdkResult {
        let (done, is_done) = mpsc::sync_channel(1);
        let ended = |_| OTelSdkError::InternalFailure("the thread of the console has ended".to_owned());
        self.queue.send(Message::Flush(done)).map_err(ended)?;
        is_done.recv_timeout(timeout).map_err(|_| OTelSdkError::Timeout(timeout))
    }
}

impl SpanProcessor for ConsoleSpans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.counter.admit() {
            // Without a thread nothing is printed any more; the counter tells how much waits.
            let _ = self.queue.send(Message::Span(Box::new(span)));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(LAST_WORDS)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.counter.close();
        let mut flushed = self.flushed.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *flushed, true) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let result = self.flush(timeout.min(LAST_WORDS));
        self.counter.give_up();
        result
    }
}

struct Printer {
    output: Output,
    service: String,
    value_length: Option<usize>,
    counter: Arc<Counter>,
}

impl Printer {
    /// Until the processor is dropped.
    fn run(&self, messages: &Receiver<Message>) {
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let mut trees = Trees::default();
        loop {
            match messages.recv_timeout(PATIENCE) {
                Ok(Message::Span(mut span)) => {
                    self.counter.taken(1);
                    limit_span(&mut span, self.value_length);
                    let finished = trees.add(*span, Instant::now());
                    self.print(finished);
                    self.print(trees.older_than(PATIENCE, Instant::now()));
                }
                Ok(Message::Flush(done)) => {
                    self.print(trees.rest());
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.print(trees.older_than(PATIENCE, Instant::now())),
                Err(RecvTimeoutError::Disconnected) => return self.print(trees.rest()),
            }
        }
    }

    fn print(&self, spans: Vec<(usize, SpanData)>) {
        if spans.is_empty() {
            return;
        }
        let lines: String = spans.iter().map(|(depth, span)| line(&self.service, *depth, span)).collect();
        self.output.print(&lines);
        let accepted = Outcome::Accepted { warning: None };
        self.counter.settled(spans.len(), Delivered { outcome: accepted, retries: 0, took: Duration::ZERO });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::super::page::Page;
    use super::*;

    fn provider(writer: impl Write + Send + 'static) -> (SdkTracerProvider, Arc<Counter>) {
        let output = Output::to(writer);
        let (spans, counter) =
            ConsoleSpans::start(output, "order-service".to_owned(), None).expect("a thread");
        (SdkTracerProvider::builder().with_span_processor(spans).build(), counter)
    }

    /// Kind and name of each line, with the spaces in front of them.
    fn outline(page: &Page) -> Vec<String> {
        let text = page.text();
        let line = |line: &str| {
            let (_, line) = line.split_once("order-service").expect("a service");
            let (line, _) = line.split_once(" ms").expect("a duration");
            line.rsplit_once(' ').expect("a name").0.to_owned()
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn a_finished_trace_is_printed_as_a_tree_parents_first() {
        let page = Page::default();
        let (provider, _) = provider(page.clone());
        let tracer = provider.tracer("test");
        tracer.in_span("request", |_| {
            tracer.in_span("order", |_| {
                tracer.in_span("insert", |_| {});
                tracer.in_span("commit", |_| {});
            });
            tracer.in_span("mail", |_| {});
        });
        provider.shutdown().expect("it is printed");
        assert_eq!(
            outline(&page),
            [
                " INTERNAL request",
                "   INTERNAL order",
                "     INTERNAL insert",
                "     INTERNAL commit",
                "   INTERNAL mail"
            ]
        );
    }

    #[test]
    fn what_is_below_an_open_span_is_printed_at_the_end_all_the_same() {
        let page = Page::default();
        let (provider, counter) = provider(page.clone());
        let tracer = provider.tracer("test");
        let open = Context::new().with_span(tracer.start("connection"));
        tracer.start_with_context("message", &open).end();
        provider.force_flush().expect("it is printed");
        assert_eq!(outline(&page), [" INTERNAL message"]);
        open.span().end();
        provider.shutdown().expect("it is printed");
        assert_eq!(outline(&page), [" INTERNAL connection"]);
        assert_eq!((counter.health().exported, counter.health().dropped), (2, 0));
    }

    #[test]
    fn a_stalled_console_blocks_nobody_and_what_it_drops_is_counted() {
        /// Takes nothing until it is let go, and tells each line from then on.
        struct Stalled(Receiver<()>, mpsc::Sender<usize>);
        impl Write for Stalled {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                let _ = self.1.send(bytes.iter().filter(|byte| **byte == b'\n').count());
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (hold, held) = mpsc::channel();
        let (lines, printed) = mpsc::channel();
        let (provider, counter) = provider(Stalled(held, lines));
        let tracer = provider.tracer("test");
        // Whoever waited for the console would never come to the end of this.
        (0..3 * QUEUE_SIZE).for_each(|_| tracer.start("work").end());
        let health = counter.health();
        assert_eq!(health.ended, 3 * QUEUE_SIZE as u64);
        assert!(health.drops.queue_full >= 2 * QUEUE_SIZE as u64 - 1, "{health:?}");
        assert!(provider.shutdown_with_timeout(Duration::from_millis(50)).is_err());
        let health = counter.health();
        assert_eq!((health.exported, health.dropped, health.queued), (0, 3 * QUEUE_SIZE as u64, 0));
        drop(hold);
        drop((tracer, provider));
        // The thread ends with what it holds: what was in the queue, and no more.
        assert!(printed.iter().sum::<usize>() <= QUEUE_SIZE + 1);
    }
}
