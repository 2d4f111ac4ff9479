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
    #[project = ContentProjection]
    enum Content<B> {
        /// All of it, which none of the application's code has to make.
        Whole { bytes: Bytes },
        /// What makes it.
        Made { #[pin] body: B },
    }
}

pin_project! {
    /// The response body, watched until it has been sent.
    pub struct ServerBody<B> {
        context: Option<Context>,
        exchange: Option<Box<Exchange>>,
        // Nothing (more) is to be sent, so being dropped now is no loss.
        sent_whole: bool,
        #[pin]
        content: Content<B>,
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
    /// `context` is the request's, where it has one.
    pub(super) fn new(
        context: Option<Context>,
        exchange: Option<Box<Exchange>>,
        status: StatusCode,
        body: B,
    ) -> Self {
        let size = body.size();
        let sent_whole = match size {
            BodySize::None | BodySize::Sized(0) => true,
            BodySize::Sized(_) | BodySize::Stream => {
                status.is_informational() || exchange.as_ref().is_some_and(|exchange| exchange.is_head())
            }
        };
        let content = match size {
            BodySize::Sized(_) => match body.try_into_bytes() {
                Ok(bytes) => Content::Whole { bytes },
                Err(body) => Content::Made { body },
            },
            // No body is not the same as an empty one.
            BodySize::None | BodySize::Stream => Content::Made { body },
        };
        Self { context, exchange, sent_whole, content }
    }
}

impl<B: MessageBody> MessageBody for ServerBody<B> {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        match &self.content {
            Content::Whole { bytes } => bytes.size(),
            Content::Made { body } => body.size(),
        }
    }

    fn poll_next(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let next = match this.content.project() {
            ContentProjection::Whole { bytes } if bytes.is_empty() => None,
            ContentProjection::Whole { bytes } => Some(Ok(std::mem::take(bytes))),
            ContentProjection::Made { body } => {
                let context = this.context.as_ref();
                let poll = || attached(context, || body.poll_next(task));
                ready!(guarded(this.exchange, poll)).map(|chunk| chunk.map_err(Into::into))
            }
        };
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
