//! A payment and the states it goes through.
//!
//! ```text
//! pending ─▶ captured ─▶ refunded
//!   │ │ ▲ └─▶ declined
//!   │ ▼ │
//!   │ failed ─▶ voided
//!   └───────────▲
//! ```

use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Money, PaymentMethod};

/// A payment that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPayment {
    /// What is paid for. An order is paid once.
    pub(crate) order_id: Uuid,
    /// Who pays, where the caller said so.
    pub(crate) user_id: Option<String>,
    /// How much.
    pub(crate) amount: Money,
    /// How.
    pub(crate) method: PaymentMethod,
    /// The trace in which it is asked for.
    pub(crate) traceparent: Option<String>,
}

/// A payment that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payment {
    /// What is paid for: the key here, and the reference under which the gateway knows it.
    pub(crate) order_id: Uuid,
    /// What the order's own row calls it.
    pub(crate) id: Uuid,
    /// Who pays, where the caller said so.
    pub(crate) user_id: Option<String>,
    /// How much.
    pub(crate) amount: Money,
    /// How.
    pub(crate) method: PaymentMethod,
    /// How far it is.
    pub(crate) state: PaymentState,
    /// The trace in which it was last asked for.
    pub(crate) traceparent: Option<String>,
    /// When it was first asked for.
    pub(crate) created_at: DateTime<Utc>,
    /// When its state changed last.
    pub(crate) updated_at: DateTime<Utc>,
}

impl Payment {
    /// Whether asking for this payment is asking for `other` again.
    pub(crate) fn is_same_charge_as(&self, other: &NewPayment) -> bool {
        self.order_id == other.order_id && self.amount == other.amount && self.method == other.method
    }

    /// Whether the gateway may be asked for this charge again, under the same reference: only where it
    /// was never reached. A charge of unknown outcome is voided, and its reference with it.
    pub(crate) fn may_be_tried_again(&self) -> bool {
        self.state == PaymentState::Failed(Failure::GatewayUnavailable)
    }
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PaymentState {
    /// The gateway is being asked, or was when the process died.
    Pending,
    /// The money is ours.
    Captured(TransactionId),
    /// The gateway said no.
    Declined(DeclineReason),
    /// It was not captured as far as anyone knows; see [`Failure::may_have_charged`].
    Failed(Failure),
    /// It had failed, and nothing is charged: the gateway has confirmed it, or was never reached.
    Voided(Failure),
    /// The money went back.
    Refunded(TransactionId),
}

impl PaymentState {
    /// The names of all of them.
    pub(crate) const NAMES: [&str; 6] = ["pending", "captured", "declined", "failed", "voided", "refunded"];

    /// Its name, on the wire, in the database and in the telemetry.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Captured(_) => "captured",
            Self::Declined(_) => "declined",
            Self::Failed(_) => "failed",
            Self::Voided(_) => "voided",
            Self::Refunded(_) => "refunded",
        }
    }

    /// The gateway's name for the charge, where there is one.
    pub(crate) fn transaction_id(&self) -> Option<&TransactionId> {
        match self {
            Self::Captured(transaction_id) | Self::Refunded(transaction_id) => Some(transaction_id),
            Self::Pending | Self::Declined(_) | Self::Failed(_) | Self::Voided(_) => None,
        }
    }

    /// Why the money is not ours, where it is not.
    pub(crate) fn failure_code(&self) -> Option<&str> {
        match self {
            Self::Declined(reason) => Some(reason.as_str()),
            Self::Failed(failure) | Self::Voided(failure) => Some(failure.code()),
            Self::Pending | Self::Captured(_) | Self::Refunded(_) => None,
        }
    }

    /// Puts a state together again from its three parts.
    ///
    /// # Errors
    /// Where they do not belong together.
    pub(crate) fn from_parts(
        status: &str,
        transaction_id: Option<&str>,
        failure_code: Option<&str>,
    ) -> Result<Self, InvalidState> {
        let transaction_id = || transaction_id.and_then(TransactionId::new).ok_or(InvalidState);
        let failure = || failure_code.ok_or(InvalidState)?.parse();
        match status {
            "pending" => Ok(Self::Pending),
            "captured" => transaction_id().map(Self::Captured),
            "declined" => Ok(Self::Declined(DeclineReason::new(failure_code.unwrap_or_default()))),
            "failed" => failure().map(Self::Failed),
            "voided" => failure().map(Self::Voided),
            "refunded" => transaction_id().map(Self::Refunded),
            _ => Err(InvalidState),
        }
    }
}

/// A stored state that no payment can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the status, the transaction id and the failure code do not belong together")]
pub(crate) struct InvalidState;

/// Why a charge has no answer to rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The gateway did not answer in time.
    GatewayTimeout,
    /// The gateway failed, or its answer made no sense.
    GatewayError,
    /// The gateway could not be reached, or was not asked.
    GatewayUnavailable,
    /// This service was cut off before it had written down the gateway's answer, and the gateway gave none since.
    Interrupted,
    /// The order was refunded while the gateway was asked, or before it could be reached.
    Cancelled,
}

impl Failure {
    const ALL: [Self; 5] = [
        Self::GatewayTimeout,
        Self::GatewayError,
        Self::GatewayUnavailable,
        Self::Interrupted,
        Self::Cancelled,
    ];

    /// Its stable code.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::GatewayTimeout => "gateway_timeout",
            Self::GatewayError => "gateway_error",
            Self::GatewayUnavailable => "gateway_unavailable",
            Self::Interrupted => "payment_interrupted",
            Self::Cancelled => "payment_cancelled",
        }
    }

    /// Whether the gateway may have taken the money all the same: then the charge must be voided.
    pub(crate) fn may_have_charged(self) -> bool {
        match self {
            Self::GatewayTimeout | Self::GatewayError | Self::Interrupted | Self::Cancelled => true,
            Self::GatewayUnavailable => false,
        }
    }
}

impl FromStr for Failure {
    type Err = InvalidState;

    fn from_str(code: &str) -> Result<Self, InvalidState> {
        Self::ALL.into_iter().find(|failure| failure.code() == code).ok_or(InvalidState)
    }
}

/// The gateway's name for a charge: 1 to 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TransactionId(String);

impl TransactionId {
    /// `None` for a text that cannot be one: it comes from outside and goes into logs and traces.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let fits = (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why the gateway said no, in its own word: up to 64 lower-case letters, digits and `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclineReason(String);

impl DeclineReason {
    /// `unspecified` for a text that is no such word: it comes from outside and is shown to callers.
    pub(crate) fn new(text: &str) -> Self {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_word);
        Self(if fits { text } else { "unspecified" }.to_owned())
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction() -> TransactionId {
        TransactionId::new("txn_1").unwrap()
    }

    fn states() -> Vec<PaymentState> {
        let mut states = vec![
            PaymentState::Pending,
            PaymentState::Captured(transaction()),
            PaymentState::Declined(DeclineReason::new("insufficient_funds")),
            PaymentState::Refunded(transaction()),
        ];
        states.extend(Failure::ALL.map(PaymentState::Failed));
        states.extend(Failure::ALL.map(PaymentState::Voided));
        states
    }

    #[test]
    fn every_state_is_put_together_again_from_its_parts() {
        for state in states() {
            let transaction_id = state.transaction_id().map(TransactionId::as_str);
            let parts = PaymentState::from_parts(state.as_str(), transaction_id, state.failure_code());
            assert_eq!(parts.as_ref(), Ok(&state));
        }
    }

    #[test]
    fn parts_that_do_not_belong_together_are_refused() {
        for (status, transaction_id, failure_code) in [
            ("captured", None, None),
            ("captured", Some(""), None),
            ("refunded", None, None),
            ("failed", None, None),
            ("failed", None, Some("rain")),
            ("voided", None, None),
            ("paid", Some("txn_1"), None),
        ] {
            let state = PaymentState::from_parts(status, transaction_id, failure_code);
            assert_eq!(state, Err(InvalidState), "{status} {transaction_id:?} {failure_code:?}");
        }
    }

    #[test]
    fn only_a_charge_that_never_reached_the_gateway_is_tried_again() {
        let payment = |state| Payment {
            order_id: Uuid::now_v7(),
            id: Uuid::now_v7(),
            user_id: None,
            amount: Money::new(1, "EUR".parse().unwrap()).unwrap(),
            method: PaymentMethod::CardOk,
            state,
            traceparent: None,
            created_at: Utc::now(),
            updated_at: Utc::now(),
        };
        for state in states() {
            let expected = state == PaymentState::Failed(Failure::GatewayUnavailable);
            assert_eq!(payment(state.clone()).may_be_tried_again(), expected, "{state:?}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_short_and_plain() {
        for text in ["", "two words", "line\nbreak", "ünïcode", &"x".repeat(129)] {
            assert_eq!(TransactionId::new(text), None, "{text}");
        }
        for text in ["", "4111 1111", "<script>", "Insufficient", &"x".repeat(65)] {
            assert_eq!(DeclineReason::new(text).as_str(), "unspecified", "{text}");
        }
        assert_eq!(DeclineReason::new("insufficient_funds").as_str(), "insufficient_funds");
    }
}
