//! Which part of a list is asked for.

use crate::problem::InvalidFields;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many at the most.
    pub limit: i64,
    /// How many to leave out first.
    pub offset: i64,
}

impl Page {
    /// What fits on a screen.
    pub const DEFAULT_LIMIT: i64 = 20;
    /// What one answer may hold.
    pub const MAX_LIMIT: i64 = 100;

    /// The part that a query asks for with `limit` (1 to 100, default 20) and `offset` (0 or more, default 0); `None`,
    /// and a note in `invalid`, where it may not.
    pub fn check(limit: Option<i64>, offset: Option<i64>, invalid: &mut InvalidFields) -> Option<Self> {
        let (limit, offset) = (limit.unwrap_or(Self::DEFAULT_LIMIT), offset.unwrap_or(0));
        let is_limit = (1..=Self::MAX_LIMIT).contains(&limit);
        if !is_limit {
            invalid.add("limit", format_args!("a limit is 1 to {}", Self::MAX_LIMIT));
        }
        if offset < 0 {
            invalid.add("offset", "an offset is 0 or more");
        }
        (is_limit && offset >= 0).then_some(Self { limit, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_and_every_mistake_is_named() {
        let check = |limit, offset| {
            let mut invalid = InvalidFields::default();
            let page = Page::check(limit, offset, &mut invalid);
            assert_eq!(page.is_some(), invalid.is_empty());
            page.map(|page| (page.limit, page.offset))
        };
        assert_eq!(check(None, None), Some((20, 0)));
        assert_eq!(check(Some(1), Some(0)), Some((1, 0)));
        assert_eq!(check(Some(100), Some(i64::MAX)), Some((100, i64::MAX)));
        for (limit, offset) in [(0, 0), (101, 0), (-1, 0), (i64::MIN, i64::MIN), (20, -1)] {
            assert_eq!(check(Some(limit), Some(offset)), None, "{limit}, {offset}");
        }
    }
}
