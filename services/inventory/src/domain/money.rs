//! What a piece costs.

use std::fmt;

/// The most that one piece may cost. The most pieces that one order may have cost less than an `i64`
/// holds, so no total can overflow.
const MAX_MINOR: i64 = 1_000_000_000_000;

/// What a piece costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) amount: Amount,
    pub(crate) currency: Currency,
}

/// An amount of money in the minor units of its currency (cents). There are no free products: a payment
/// of nothing is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Amount(i64);

/// An amount that nothing may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a price has 1 to {MAX_MINOR} minor units")]
pub(crate) struct InvalidAmount;

impl Amount {
    /// Takes a number of minor units.
    pub(crate) fn from_minor(minor: i64) -> Result<Self, InvalidAmount> {
        if (1..=MAX_MINOR).contains(&minor) { Ok(Self(minor)) } else { Err(InvalidAmount) }
    }

    pub(crate) fn minor(self) -> i64 {
        self.0
    }
}

/// A currency by its code (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency([u8; 3]);

/// A text that is no currency's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters, such as EUR")]
pub(crate) struct InvalidCurrency;

impl Currency {
    /// Takes a code.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidCurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        if code.iter().all(u8::is_ascii_uppercase) { Ok(Self(code)) } else { Err(InvalidCurrency) }
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("capital letters are ASCII")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Quantity;

    #[test]
    fn an_amount_is_bounded() {
        for minor in [1, 2, MAX_MINOR] {
            assert_eq!(Amount::from_minor(minor).map(Amount::minor), Ok(minor));
        }
        for minor in [0, -1, MAX_MINOR + 1, i64::MIN, i64::MAX] {
            assert_eq!(Amount::from_minor(minor), Err(InvalidAmount), "{minor}");
        }
    }

    #[test]
    fn the_most_of_the_dearest_still_has_a_total() {
        assert!(MAX_MINOR.checked_mul(Quantity::MAX).is_some());
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        for text in ["", "eur", "EU", "EURO", "E1R", "É1"] {
            assert_eq!(Currency::parse(text), Err(InvalidCurrency), "{text}");
        }
    }
}
