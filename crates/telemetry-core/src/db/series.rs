//! Which statements have metric series of their own.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

/// How many have. Services run some dozens; one that builds statements from what callers ask for runs any number.
const MAX_STATEMENTS: usize = 200;

/// The first statements that were run, up to two hundred; all others share the series of `db.query.summary` `_OTHER`.
#[derive(Debug, Default)]
pub(crate) struct Statements(RwLock<HashSet<u64>>);

impl Statements {
    /// Whether the statement that this stands for has series of its own.
    pub(super) fn are_told(&self, statement: u64) -> bool {
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&statement) || known.len() >= MAX_STATEMENTS {
                return known.contains(&statement);
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been here meanwhile.
        known.contains(&statement) || (known.len() < MAX_STATEMENTS && known.insert(statement))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_hundred_are_told() {
        let statements = Statements::default();
        assert_eq!((0..500).filter(|statement| statements.are_told(*statement)).count(), MAX_STATEMENTS);
        assert!(statements.are_told(7) && !statements.are_told(MAX_STATEMENTS as u64));
    }
}
