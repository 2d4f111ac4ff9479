//! Products, and how much of each there is.

use std::fmt;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Price;

/// A product's id: UUIDv7, so ids are in the order in which products came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProductId(Uuid);

impl ProductId {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl From<Uuid> for ProductId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<ProductId> for Uuid {
    fn from(id: ProductId) -> Self {
        id.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The merchant's own code for a product. No two products have the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sku(String);

/// A text that cannot be a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a SKU has 1 to {} characters: letters, digits, '-', '_' and '.'", Sku::MAX_BYTES)]
pub(crate) struct InvalidSku;

impl Sku {
    const MAX_BYTES: usize = 64;

    /// Takes a code.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidSku> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if fits && is_plain { Ok(Self(text.to_owned())) } else { Err(InvalidSku) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a product is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProductName(String);

/// A text that cannot be a product's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {} characters, and no control characters", ProductName::MAX_CHARACTERS)]
pub(crate) struct InvalidProductName;

impl ProductName {
    const MAX_CHARACTERS: usize = 200;

    /// Takes a name; white space around it is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidProductName> {
        let text = text.trim();
        let fits = (1..=Self::MAX_CHARACTERS).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidProductName)
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of product it is. It goes onto spans, so it is a term to group by and not a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Category(String);

/// A text that cannot be a category.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a category has 1 to {} characters: small letters, digits and '-'", Category::MAX_BYTES)]
pub(crate) struct InvalidCategory;

impl Category {
    const MAX_BYTES: usize = 50;

    /// Takes a term.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidCategory> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        let is_plain =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if fits && is_plain { Ok(Self(text.to_owned())) } else { Err(InvalidCategory) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many pieces there are of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock(i64);

/// A number of pieces that there cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a product's stock is 0 to {} pieces", Stock::MAX)]
pub(crate) struct InvalidStock;

impl Stock {
    /// The most pieces there may be of a product.
    pub(crate) const MAX: i64 = 1_000_000_000;

    /// Takes a number of pieces.
    pub(crate) fn new(pieces: i64) -> Result<Self, InvalidStock> {
        if (0..=Self::MAX).contains(&pieces) { Ok(Self(pieces)) } else { Err(InvalidStock) }
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// A product as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) id: ProductId,
    pub(crate) sku: Sku,
    pub(crate) name: ProductName,
    pub(crate) category: Category,
    pub(crate) price: Price,
    /// The pieces that are neither sold nor reserved.
    pub(crate) available: i64,
    pub(crate) created_at: DateTime<Utc>,
    /// Counts the changes of all but the stock, from 1.
    pub(crate) version: i64,
}

/// What is to change of a product that is at a version; the rest stays.
#[derive(Debug, Clone)]
pub(crate) struct ProductChange {
    /// The version that whoever changes it has seen.
    pub(crate) version: i64,
    pub(crate) name: Option<ProductName>,
    pub(crate) category: Option<Category>,
    pub(crate) price: Option<Price>,
}

/// Pieces that come to the stock, or go from it, without an order.
#[derive(Debug, Clone)]
pub(crate) struct Adjustment {
    /// The caller's: the same adjustment is made once.
    pub(crate) id: Uuid,
    pub(crate) product_id: ProductId,
    pub(crate) change: StockChange,
    pub(crate) reason: ProductName,
    /// Who makes it.
    pub(crate) user_id: String,
}

/// How many pieces come, or go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StockChange(i64);

/// A number of pieces that is no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a change is 1 to {max} pieces, or -1 to -{max}", max = Stock::MAX)]
pub(crate) struct InvalidStockChange;

impl StockChange {
    /// Takes a number of pieces.
    pub(crate) fn new(pieces: i64) -> Result<Self, InvalidStockChange> {
        let fits = pieces != 0 && (-Stock::MAX..=Stock::MAX).contains(&pieces);
        if fits { Ok(Self(pieces)) } else { Err(InvalidStockChange) }
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }
}

/// The pieces of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StockLevel {
    /// In the warehouse.
    pub(crate) on_hand: i64,
    /// Of these, set aside for orders.
    pub(crate) reserved: i64,
}

/// Which products are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProductFilter {
    pub(crate) category: Option<Category>,
    pub(crate) sku: Option<Sku>,
    /// Only those that can be ordered now.
    pub(crate) in_stock: bool,
}

/// A product before there is one.
#[derive(Debug, Clone)]
pub(crate) struct NewProduct {
    pub(crate) sku: Sku,
    pub(crate) name: ProductName,
    pub(crate) category: Category,
    pub(crate) price: Price,
    pub(crate) stock: Stock,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_making() {
        let ids: Vec<String> = (0..100).map(|_| ProductId::new().to_string()).collect();
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_sku_is_a_short_plain_code() {
        let longest = "x".repeat(64);
        for text in ["A", "LAMP-01", "a.b_c", &longest] {
            assert_eq!(Sku::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "LAMP 01", "LÄMP", "a/b", "a\n", &"x".repeat(65)] {
            assert_eq!(Sku::parse(text), Err(InvalidSku), "{text:?}");
        }
    }

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(ProductName::parse("  Schöne Lampe ").unwrap().as_str(), "Schöne Lampe");
        assert!(ProductName::parse(&"ä".repeat(200)).is_ok());
        for text in ["", "   ", "Lamp\u{0}", "Lamp\nBright", &"ä".repeat(201)] {
            assert_eq!(ProductName::parse(text), Err(InvalidProductName), "{text:?}");
        }
    }

    #[test]
    fn a_category_is_a_term_to_group_by() {
        for text in ["lighting", "home-office", "3d-printing"] {
            assert_eq!(Category::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "Lighting", "home office", &"x".repeat(51)] {
            assert_eq!(Category::parse(text), Err(InvalidCategory), "{text:?}");
        }
    }

    #[test]
    fn a_change_of_the_stock_is_bounded_and_changes_something() {
        for pieces in [1, -1, Stock::MAX, -Stock::MAX] {
            assert_eq!(StockChange::new(pieces).map(StockChange::get), Ok(pieces));
        }
        for pieces in [0, Stock::MAX + 1, -Stock::MAX - 1, i64::MIN] {
            assert_eq!(StockChange::new(pieces), Err(InvalidStockChange), "{pieces}");
        }
    }

    #[test]
    fn stock_is_bounded() {
        for pieces in [0, 1, Stock::MAX] {
            assert_eq!(Stock::new(pieces).map(Stock::get), Ok(pieces));
        }
        for pieces in [-1, Stock::MAX + 1] {
            assert_eq!(Stock::new(pieces), Err(InvalidStock), "{pieces}");
        }
    }
}
