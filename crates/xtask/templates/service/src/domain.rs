//! Types that cannot be wrong.

use uuid::Uuid;

/// An item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// UUIDv7.
    pub(crate) id: Uuid,
    pub(crate) name: ItemName,
}

/// 1 to 100 characters, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemName(String);

/// The rule of a name. It repeats nothing of what was sent, since callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters")]
pub(crate) struct InvalidItemName;

impl ItemName {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidItemName> {
        let text = text.trim();
        let is_right = (1..=100).contains(&text.chars().count());
        is_right.then(|| Self(text.to_owned())).ok_or(InvalidItemName)
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_100_characters() {
        assert_eq!(ItemName::parse(" lamp ").map(ItemName::into_string), Ok("lamp".to_owned()));
        assert!(ItemName::parse(&"é".repeat(100)).is_ok());
        for wrong in ["", "  ", &"a".repeat(101)] {
            assert_eq!(ItemName::parse(wrong), Err(InvalidItemName));
        }
    }
}
