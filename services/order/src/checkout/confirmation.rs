//! The confirmation mail: a message that is sent with the confirmation, and what acts on it.

use std::error::Error;

use telemetry_core::opentelemetry::trace::TraceContextExt as _;
use telemetry_core::span;

use super::Checkout;
use crate::domain::{Mail, Order};
use crate::outbox::{Destination, Place};
use crate::store::MailMessage;

/// Messages at once that others have left.
const BATCH: i64 = 20;

impl Checkout {
    /// Acts on the message of an order that was confirmed here, after the answer: the customer does not wait for it.
    pub(super) fn send_confirmation(&self, message: MailMessage, order: Order) {
        self.process_mail(message, order, Place::SameTrace);
    }

    /// Acts on messages that nobody works on any more. Whether there may be more.
    pub(super) async fn take_over_mails(&self) -> bool {
        match self.telemetry.untraced(self.orders.claim_mails(BATCH)).await {
            Ok(claimed) => {
                let is_more = claimed.len() as i64 == BATCH;
                for (message, order) in claimed {
                    self.process_mail(message, order, Place::NewTrace);
                }
                is_more
            }
            Err(error) => {
                tracing::warn!(error = &error as &(dyn Error + 'static), "could not look for mails to write");
                false
            }
        }
    }

    fn process_mail(&self, message: MailMessage, order: Order, place: Place) {
        let consumer =
            self.outbox.process(Destination::Mails, message.id, message.traceparent.as_deref(), place);
        let orders = self.orders.clone();
        let _current = consumer.clone().attach();
        self.telemetry.background("send_email", async move {
            let mail = Mail::confirmation(&order);
            span::set_attribute("email.message_length", mail.body.len() as i64);
            if let Err(error) = orders.insert_mail(&message, &order, mail).await {
                span::record_error(&error, "mail_not_stored");
                tracing::error!(order.id = %order.id, error = &error as &(dyn Error + 'static), "confirmation mail not stored; it is tried again");
            }
            consumer.span().end();
        });
    }
}
