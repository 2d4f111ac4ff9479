//! E-mail addresses.

use std::fmt;

/// RFC 5321, 4.5.3.1: what a mail server takes.
const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;

/// An address that mail could be sent to. It is kept as it was given and compared in lower case.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Email {
    text: String,
}

/// An address that no mail could be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an e-mail address such as name@example.com is needed")]
pub(crate) struct InvalidEmail;

impl Email {
    /// Takes an address; white space around it is dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim();
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail)?;
        let fits = text.len() <= MAX_BYTES && (1..=MAX_LOCAL_BYTES).contains(&local.len());
        let local_is_plain = local.chars().all(|c| !c.is_whitespace() && !c.is_control() && c != '@');
        if fits && local_is_plain && is_domain(domain) {
            Ok(Self { text: text.to_owned() })
        } else {
            Err(InvalidEmail)
        }
    }

    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// What tells two addresses apart. Few servers mind case before the `@`, and no two people should
    /// differ by it.
    pub(crate) fn normalised(&self) -> String {
        self.text.to_lowercase()
    }
}

fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_as_given_and_compared_in_lower_case() {
        let email = Email::parse(" Ada.Lovelace+orders@Example.COM ").unwrap();
        assert_eq!(email.as_str(), "Ada.Lovelace+orders@Example.COM");
        assert_eq!(email.normalised(), "ada.lovelace+orders@example.com");
        assert_eq!(format!("{email:?}"), "Email(…)");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", "a".repeat(250));
        for text in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "ada@example",
            "ada@.com",
            "ada@example..com",
            "ada@-example.com",
            "ada@exam ple.com",
            "ada lovelace@example.com",
            "ada@home@example.com",
            "ada\n@example.com",
            &long_local,
            &long,
        ] {
            assert_eq!(Email::parse(text), Err(InvalidEmail), "{text:?}");
        }
    }
}
