//! Passwords.

use secrecy::{ExposeSecret, SecretString};

/// NIST SP 800-63B-4 asks for 8 at the least, and for no rules about kinds of characters.
const MIN_CHARACTERS: usize = 8;
/// Longer ones are allowed to be typed but not to make work.
const MAX_BYTES: usize = 256;

/// A password on its way to be hashed. It does not print, and its memory is wiped.
#[derive(Debug, Clone)]
pub(crate) struct Password(SecretString);

/// A password that nobody should choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password has {MIN_CHARACTERS} characters or more, and at most {MAX_BYTES} bytes")]
pub(crate) struct InvalidPassword;

impl Password {
    /// Takes a password that someone chooses.
    pub(crate) fn choose(text: String) -> Result<Self, InvalidPassword> {
        let chosen = Self(text.into());
        let text = chosen.expose();
        if text.chars().count() < MIN_CHARACTERS || text.len() > MAX_BYTES {
            return Err(InvalidPassword);
        }
        Ok(chosen)
    }

    /// Takes a password that someone says is theirs. The rules for choosing one do not matter: it may
    /// be older than they are.
    pub(crate) fn claim(text: String) -> Self {
        Self(text.into())
    }

    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_chosen_password_is_bounded() {
        assert!(Password::choose("8 bytes!".into()).is_ok());
        assert!(Password::choose("пароль!!".into()).is_ok());
        assert!(Password::choose("a".repeat(256)).is_ok());
        assert!(Password::choose("7 bytes".into()).is_err());
        assert!(Password::choose("пароль".into()).is_err());
        assert!(Password::choose("a".repeat(257)).is_err());
        assert!(!format!("{:?}", Password::claim("hunter2".into())).contains("hunter2"));
    }
}
