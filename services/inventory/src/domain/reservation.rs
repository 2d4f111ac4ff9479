//! Reservations: stock that an order holds but has not bought.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Price, ProductId};

/// The order that holds a reservation. It has one at most, so its id is the reservation's as well: its
/// caller knows it before the answer, and so can release what an answer that got lost has reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OrderId(Uuid);

impl From<Uuid> for OrderId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<OrderId> for Uuid {
    fn from(id: OrderId) -> Self {
        id.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many pieces an order wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantity(i64);

/// A number of pieces that nobody may order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quantity is 1 to {} pieces", Quantity::MAX)]
pub(crate) struct InvalidQuantity;

impl Quantity {
    pub(crate) const MAX: i64 = 10_000;

    /// Takes a number of pieces.
    pub(crate) fn new(pieces: i64) -> Result<Self, InvalidQuantity> {
        if (1..=Self::MAX).contains(&pieces) { Ok(Self(pieces)) } else { Err(InvalidQuantity) }
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReservationState {
    /// Its pieces are set aside.
    Reserved,
    /// Its pieces are sold.
    Committed,
    /// Its pieces are free again, or there were none yet: the order reserves nothing any more.
    Released,
}

impl ReservationState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Committed => "committed",
            Self::Released => "released",
        }
    }
}

/// A state that there is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a state is reserved, committed or released")]
pub(crate) struct UnknownState;

impl FromStr for ReservationState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        [Self::Reserved, Self::Committed, Self::Released]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(UnknownState)
    }
}

/// How a reservation ends. It ends once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settlement {
    Commit,
    Release,
}

impl Settlement {
    /// The state it leads to.
    pub(crate) fn outcome(self) -> ReservationState {
        match self {
            Self::Commit => ReservationState::Committed,
            Self::Release => ReservationState::Released,
        }
    }

    /// How many of the reserved pieces leave the warehouse.
    pub(crate) fn sold(self, reserved: i64) -> i64 {
        match self {
            Self::Commit => reserved,
            Self::Release => 0,
        }
    }
}

/// A reservation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// What was asked for.
    pub(crate) wanted: NewReservation,
    /// The price of the moment at which it was made. A later change does not touch it.
    pub(crate) unit_price: Price,
}

/// A reservation before there is one: what an order wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NewReservation {
    pub(crate) order_id: OrderId,
    pub(crate) product_id: ProductId,
    pub(crate) quantity: Quantity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_bounded() {
        for pieces in [1, Quantity::MAX] {
            assert_eq!(Quantity::new(pieces).map(Quantity::get), Ok(pieces));
        }
        for pieces in [0, -1, Quantity::MAX + 1, i64::MAX] {
            assert_eq!(Quantity::new(pieces), Err(InvalidQuantity), "{pieces}");
        }
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in [ReservationState::Reserved, ReservationState::Committed, ReservationState::Released] {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("sold".parse::<ReservationState>(), Err(UnknownState));
    }

    #[test]
    fn what_is_committed_is_sold_and_what_is_released_is_not() {
        assert_eq!(
            (Settlement::Commit.outcome(), Settlement::Commit.sold(3)),
            (ReservationState::Committed, 3)
        );
        assert_eq!(
            (Settlement::Release.outcome(), Settlement::Release.sold(3)),
            (ReservationState::Released, 0)
        );
    }
}
