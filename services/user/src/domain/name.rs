//! Names of people and of tenants.

use std::fmt;

const MAX_CHARACTERS: usize = 100;

/// What someone, or a tenant, is called: 1 to 100 characters, none of them a control character.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// A text that cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_CHARACTERS} characters, and no control characters")]
pub(crate) struct InvalidName;

impl Name {
    /// Takes a name; white space around it is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let fits = (1..=MAX_CHARACTERS).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.to_owned())) } else { Err(InvalidName) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(Name::parse("  Ada Lovelace ").unwrap().as_str(), "Ada Lovelace");
        assert_eq!(Name::parse("李").unwrap().into_string(), "李");
        assert!(Name::parse(&"a".repeat(100)).is_ok());
        for text in ["", "   ", "Ada\u{0}", "Ada\nLovelace", &"a".repeat(101)] {
            assert_eq!(Name::parse(text), Err(InvalidName), "{text:?}");
        }
    }
}
