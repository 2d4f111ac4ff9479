//! Orders and the values they are made of.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// An order that is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// What is ordered.
    pub product_id: Uuid,
    /// How many of it.
    pub quantity: Quantity,
    /// How fast it is wanted.
    pub order_type: OrderType,
    /// How it is paid.
    pub payment_method: PaymentMethod,
}

/// An order as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// UUIDv7, so ids sort by time.
    pub id: Uuid,
    /// The tenant it belongs to; nobody else sees it.
    pub tenant_id: String,
    /// The user who placed it.
    pub user_id: String,
    /// What was ordered.
    pub product_id: Uuid,
    /// How many of it.
    pub quantity: Quantity,
    /// How fast it is wanted.
    pub order_type: OrderType,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// How far it has come.
    pub status: OrderStatus,
    /// Why it failed, as a stable code.
    pub failure_code: Option<String>,
    /// What it costs; known once the goods are reserved.
    pub amount: Option<Amount>,
    /// When it was placed.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes: who changes it says which one they have read, so that of two one does.
    pub version: i64,
}

/// Which orders are wanted: those to which all of it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrderFilter {
    /// Those that have come so far.
    pub status: Option<OrderStatus>,
    /// Those that were placed then or later.
    pub from: Option<DateTime<Utc>>,
    /// Those that were placed earlier.
    pub before: Option<DateTime<Utc>>,
}

/// A status that an order had, and the message that told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderEvent {
    /// The message's id.
    pub message_id: Uuid,
    /// The order's version that the change made.
    pub version: i64,
    /// The status.
    pub status: OrderStatus,
    /// Why it failed, where it did.
    pub failure_code: Option<String>,
    /// The message's span, in the trace that made the change.
    pub traceparent: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
}

/// An order that was left unfinished and is ours to bring to its end now.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The order as it was left.
    pub order: Order,
    /// The trace it was placed in.
    pub traceparent: Option<String>,
    /// How often it was taken without being brought on, this time included.
    pub attempts: i32,
}

/// How far an order has come. The status is stored before the call that the next one needs, so that
/// a crash leaves an order whose next step is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Placed; the goods are being reserved.
    Pending,
    /// The goods are reserved; the payment is being made.
    Reserved,
    /// Paid; the goods are being taken out of the stock.
    Paid,
    /// Done.
    Confirmed,
    /// Refused or broken off; what it took is being given back.
    Failing,
    /// Refused or broken off, and everything it had taken was given back.
    Failed,
    /// Called off by its customer; what it took is being given back.
    Cancelling,
    /// Called off by its customer, and everything it had taken was given back.
    Cancelled,
}

impl OrderStatus {
    const ALL: [Self; 8] = [
        Self::Pending,
        Self::Reserved,
        Self::Paid,
        Self::Confirmed,
        Self::Failing,
        Self::Failed,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// Whether it stays as it is.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Failed | Self::Cancelled)
    }

    /// Whether its customer may call it off: until it is paid, or fails anyway.
    pub fn may_be_cancelled(self) -> bool {
        matches!(self, Self::Pending | Self::Reserved)
    }

    /// The status as text, as rows and answers have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Paid => "paid",
            Self::Confirmed => "confirmed",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for OrderStatus {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(InvalidOrder::Status)
    }
}

/// How many pieces, 1 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity(i32);

impl Quantity {
    /// More than this is no order of a person's.
    pub const MAX: i32 = 1000;

    /// The number of pieces.
    pub fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidOrder;

    fn try_from(pieces: i64) -> Result<Self, InvalidOrder> {
        let pieces = i32::try_from(pieces).map_err(|_| InvalidOrder::Quantity)?;
        if (1..=Self::MAX).contains(&pieces) { Ok(Self(pieces)) } else { Err(InvalidOrder::Quantity) }
    }
}

/// How fast the goods are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderType {
    /// When it suits.
    Standard,
    /// As fast as possible.
    Express,
}

impl OrderType {
    /// The type as text, as requests, rows and spans have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Express => "express",
        }
    }
}

impl FromStr for OrderType {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        match text {
            "standard" => Ok(Self::Standard),
            "express" => Ok(Self::Express),
            _ => Err(InvalidOrder::OrderType),
        }
    }
}

/// The name of a way to pay, such as `card_ok`. Which ones there are, the payment service knows; what
/// could be a card number is refused here already, so that it gets nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentMethod(String);

impl PaymentMethod {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentMethod {
    type Err = InvalidOrder;

    fn from_str(text: &str) -> Result<Self, InvalidOrder> {
        let is_name = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
            && text.starts_with(|first: char| first.is_ascii_lowercase());
        if is_name { Ok(Self(text.to_owned())) } else { Err(InvalidOrder::PaymentMethod) }
    }
}

/// An amount of money in the currency's minor unit, such as cents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// In minor units.
    pub minor: i64,
    /// ISO 4217, such as `EUR`.
    pub currency: String,
}

impl Amount {
    /// What `quantity` pieces cost at this price each; `None` where no number holds it.
    pub fn times(&self, quantity: Quantity) -> Option<Self> {
        let minor = self.minor.checked_mul(i64::from(quantity.get()))?;
        Some(Self { minor, currency: self.currency.clone() })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} {}", self.minor / 100, self.minor % 100, self.currency)
    }
}

/// A mail that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub body: String,
}

impl Mail {
    /// The confirmation of an order.
    pub fn confirmation(order: &Order) -> Self {
        let amount = order.amount.as_ref().map(|amount| format!(" for {amount}")).unwrap_or_default();
        Self {
            subject: "Your order is confirmed".to_owned(),
            body: format!(
                "Thank you for your order {} of {} piece(s){amount}. It is on its way.",
                order.id,
                order.quantity.get()
            ),
        }
    }
}

/// A value that no order may have. The texts state the rule and not the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrder {
    /// Not a [`Quantity`].
    #[error("must be a whole number from 1 to {}", Quantity::MAX)]
    Quantity,
    /// Not an [`OrderType`].
    #[error("must be standard or express")]
    OrderType,
    /// Not a [`PaymentMethod`].
    #[error("must be the name of a payment method, such as card_ok")]
    PaymentMethod,
    /// Not an [`OrderStatus`].
    #[error("must be pending, reserved, paid, confirmed, failing, failed, cancelling or cancelled")]
    Status,
    /// Not a time that an order can have.
    #[error("must be a time from 1970 to 9999 as RFC 3339 has it, such as 2026-01-31T12:00:00Z")]
    Time,
    /// Not a range of times.
    #[error("must be later than placed_from")]
    TimeRange,
    /// Not an id.
    #[error("must be the id of a product")]
    Id,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_from_one_to_a_thousand() {
        for (pieces, valid) in
            [(i64::MIN, false), (0, false), (1, true), (1000, true), (1001, false), (1 << 40, false)]
        {
            assert_eq!(Quantity::try_from(pieces).is_ok(), valid, "{pieces}");
        }
    }

    #[test]
    fn what_could_be_a_card_number_is_no_payment_method() {
        for (text, valid) in [
            ("card_ok", true),
            ("paypal", true),
            ("4111111111111111", false),
            ("card_4111", false),
            ("Card", false),
            ("_card", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<PaymentMethod>().is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn an_amount_that_no_number_holds_is_none() {
        let price = |minor| Amount { minor, currency: "EUR".to_owned() };
        let quantity = Quantity::try_from(3).unwrap();
        assert_eq!(price(1250).times(quantity).unwrap().to_string(), "37.50 EUR");
        assert_eq!(price(i64::MAX).times(quantity), None);
    }
}
