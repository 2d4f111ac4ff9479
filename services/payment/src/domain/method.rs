//! How somebody pays.

use std::str::FromStr;

/// A payment method that the gateway knows, by name. There are no card numbers here: a text that is
/// none of these names is refused and repeated nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentMethod {
    /// A card that pays.
    CardOk,
    /// A card without money on it.
    CardDeclined,
    /// A card whose bank takes longer than anyone waits.
    CardSlow,
    /// A card at which the gateway itself fails.
    GatewayError,
}

impl PaymentMethod {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::CardOk, Self::CardDeclined, Self::CardSlow, Self::GatewayError];

    /// Its name, on the wire, in the database and in the telemetry.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CardOk => "card_ok",
            Self::CardDeclined => "card_declined",
            Self::CardSlow => "card_slow",
            Self::GatewayError => "gateway_error",
        }
    }
}

/// Not the name of a payment method. Its text names those there are, never what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment method is card_ok, card_declined, card_slow or gateway_error")]
pub(crate) struct UnknownPaymentMethod;

impl FromStr for PaymentMethod {
    type Err = UnknownPaymentMethod;

    fn from_str(name: &str) -> Result<Self, UnknownPaymentMethod> {
        Self::ALL.into_iter().find(|method| method.as_str() == name).ok_or(UnknownPaymentMethod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_read_by_its_own_name() {
        for method in PaymentMethod::ALL {
            assert_eq!(method.as_str().parse(), Ok(method));
            assert!(UnknownPaymentMethod.to_string().contains(method.as_str()), "{method:?}");
        }
    }

    #[test]
    fn a_card_number_is_no_method_and_is_not_repeated() {
        for text in ["4111111111111111", "", "CARD_OK", " card_ok"] {
            assert_eq!(text.parse::<PaymentMethod>(), Err(UnknownPaymentMethod), "{text}");
        }
        assert!(!UnknownPaymentMethod.to_string().contains("4111"));
    }
}
