//! Carrying the current trace to where work goes on: other tasks and blocking threads.
//!
//! OpenTelemetry's [`Context`] (span and baggage) is the one truth about the current trace, and
//! `tracing` spans take their parent from it. The functions here carry it; the raw `tokio::spawn`,
//! `spawn_blocking` and `web::block` do not, and what runs inside them would start a trace of its own.
//!
//! A spawned task does not carry the `tracing` span it was spawned in: that span ends when its own work
//! has, not when the task has.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use futures_util::Stream;
use opentelemetry::baggage::{Baggage, BaggageExt};
use opentelemetry::context::FutureExt;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// Runs `work` on a thread where it may block, as part of the current trace.
///
/// A panic of `work` goes on in the caller. Dropping the future does not stop `work`.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let context = Context::current();
    let span = tracing::Span::current();
    let work = move || {
        span.in_scope(|| {
            let _current = context.attach();
            work()
        })
    };
    #[cfg(any(test, feature = "testing"))]
    let work = crate::testing::collected(work);
    #[expect(clippy::disallowed_methods, reason = "this is the function that carries the context")]
    let task = tokio::task::spawn_blocking(work);
    match task.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Spawns a task that belongs to the current trace.
///
/// # Panics
/// Outside a tokio runtime, as `tokio::spawn` does.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the function that carries the context")]
    tokio::spawn(future.with_context(Context::current()))
}

/// Spawns a task on this actix worker's thread, as part of the current trace.
///
/// # Panics
/// Outside an actix runtime or a [`LocalSet`](tokio::task::LocalSet), as `actix_web::rt::spawn` does.
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: 'static> + 'static,
{
    #[expect(clippy::disallowed_methods, reason = "this is the function that carries the context")]
    tokio::task::spawn_local(future.with_context(Context::current()))
}

/// The future with the context that is current now, wherever it will be polled.
pub fn in_current<F: Future>(future: F) -> impl Future<Output = F::Output> {
    future.with_context(Context::current()).instrument(tracing::Span::current())
}

/// The stream with the context that is current now, wherever it will be polled: for response bodies that are
/// made while they are sent, and for messages that belong to the request that subscribed to them.
pub fn stream_in_current<S: Stream>(stream: S) -> impl Stream<Item = S::Item> {
    InCurrent { stream, context: Context::current(), span: tracing::Span::current() }
}

pin_project! {
    struct InCurrent<S> {
        #[pin]
        stream: S,
        context: Context,
        span: tracing::Span,
    }
}

impl<S: Stream> Stream for InCurrent<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let _entered = this.span.enter();
        let _current = this.context.clone().attach();
        this.stream.poll_next(task)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

/// Runs `future` with these baggage entries beside the current ones, so that they travel to every
/// service called below.
///
/// W3C Baggage limits it to 64 entries and 8192 bytes. Where it is full, these entries stay and those that came
/// before them are left out.
pub async fn with_baggage<F: Future>(entries: impl IntoIterator<Item = KeyValue>, future: F) -> F::Output {
    let context = Context::map_current(|current| {
        let mut baggage = Baggage::from_iter(entries);
        for (name, (value, metadata)) in current.baggage() {
            if baggage.get(name).is_none() {
                baggage.insert_with_metadata(name.clone(), value.clone(), metadata.clone());
            }
        }
        current.with_baggage(baggage)
    });
    future.with_context(context).await
}
