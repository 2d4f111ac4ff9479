//! Amounts of money.

use std::str::FromStr;

/// A positive amount in the smallest unit of its currency: 1999 and `EUR` are 19.99 €.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount of 1 or more.
    ///
    /// # Errors
    /// For anything less: a charge of nothing, or of a debt, is a mistake.
    pub(crate) fn new(minor: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        if minor > 0 { Ok(Self { minor, currency }) } else { Err(InvalidMoney::Amount) }
    }

    /// The amount.
    pub(crate) fn minor(self) -> i64 {
        self.minor
    }

    /// What it is an amount of.
    pub(crate) fn currency(self) -> Currency {
        self.currency
    }
}

/// A currency as ISO 4217 writes it: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency([u8; 3]);

impl Currency {
    /// Its three letters.
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters are UTF-8")
    }
}

impl FromStr for Currency {
    type Err = InvalidMoney;

    fn from_str(text: &str) -> Result<Self, InvalidMoney> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidMoney::Currency)?;
        if letters.iter().all(u8::is_ascii_uppercase) {
            Ok(Self(letters))
        } else {
            Err(InvalidMoney::Currency)
        }
    }
}

/// What is wrong with an amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidMoney {
    /// Zero or less.
    #[error("an amount is 1 or more")]
    Amount,
    /// Not the form of a currency.
    #[error("a currency is three capital letters, such as EUR")]
    Currency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("EUR".parse::<Currency>().unwrap().as_str(), "EUR");
        for text in ["", "EU", "EURO", "eur", "E R", "€", "1€"] {
            assert_eq!(text.parse::<Currency>(), Err(InvalidMoney::Currency), "{text}");
        }
    }

    #[test]
    fn nothing_and_less_cannot_be_charged() {
        let eur = "EUR".parse().unwrap();
        assert_eq!(Money::new(1, eur).unwrap().minor(), 1);
        for minor in [0, -1, i64::MIN] {
            assert_eq!(Money::new(minor, eur), Err(InvalidMoney::Amount), "{minor}");
        }
    }
}
