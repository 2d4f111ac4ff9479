//! The response body, watched until it has been sent.

use std::borrow::Cow;
use std::error::Error;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use opentelemetry::Context;
use pin_project_lite::pin_project;

use super::exchange::Exchange;
use super::{attached, guarded};

pin_project! {
    /// The response body, watched until it has been sent.
    pub struct ServerBody<B> {
        context: Context,
        exchange: Option<Exchange>,
        // Nothing (more) is to be sent, so being dropped now is no loss.
        sent_whole: bool,
        #[pin]
        body: B,
    }

    impl<B> PinnedDrop for ServerBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(mut exchange) = this.exchange.take() {
                if *this.sent_whole {
                    exchange.completed();
                } else if std::thread::panicking() {
                    exchange.panicked(Cow::Borrowed("a panic while the body was made"));
                }
                // Else the exchange's own end tells why it broke off.
            }
        }
    }
}

impl<B: MessageBody> ServerBody<B> {
    pub(super) fn new(context: Context, exchange: Option<Exchange>, status: StatusCode, body: B) -> Self {
        let sent_whole = match body.size() {
            BodySize::None | BodySize::Sized(0) => true,
            BodySize::Sized(_) | BodySize::Stream => {
                status.is_informational() || exchange.as_ref().is_some_and(Exchange::is_head)
            }
        };
        Self { context, exchange, sent_whole, body }
    }
}

impl<B: MessageBody> MessageBody for ServerBody<B> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let body = this.body;
        let context = &*this.context;
        let next = ready!(guarded(this.exchange, || attached(context, || body.poll_next(task))));
        let next = next.map(|chunk| chunk.map_err(Into::into));
        match &next {
            Some(Ok(chunk)) => {
                if let Some(exchange) = this.exchange {
                    exchange.sent(chunk.len());
                }
            }
            Some(Err(error)) => {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.body_failed(&**error);
                }
            }
            None => {
                *this.sent_whole = true;
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.completed();
                }
            }
        }
        Poll::Ready(next)
    }
}
