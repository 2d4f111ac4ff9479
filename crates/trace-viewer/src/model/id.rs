use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An identifier of `N` bytes, written as lower-case hex and never all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<const N: usize>([u8; N]);

/// Names a trace: 32 hex digits.
pub type TraceId = Id<16>;
/// Names a span within its trace: 16 hex digits.
pub type SpanId = Id<8>;

/// A text or byte string that is no identifier: wrong length, not hex, or all zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hex digits, not all zero")]
pub struct InvalidId {
    digits: usize,
}

impl<const N: usize> Id<N> {
    /// The identifier of these bytes.
    ///
    /// # Errors
    /// Not exactly `N` bytes, or all of them zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
        match <[u8; N]>::try_from(bytes) {
            Ok(bytes) if bytes.iter().any(|byte| *byte != 0) => Ok(Self(bytes)),
            _ => Err(InvalidId { digits: 2 * N }),
        }
    }
}

impl<const N: usize> FromStr for Id<N> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { digits: 2 * N };
        // `from_str_radix` would also take a sign.
        if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid);
        }
        let mut bytes = [0; N];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| invalid)?;
        }
        Self::from_bytes(&bytes)
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_writes() {
        let id: TraceId = "0AF7651916cd43dd8448eb211c80319c".parse().unwrap();
        assert_eq!(id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "00", "0000000000000000", "+1b7ad6b7169203331", "b7ad6b716920333", "ü7ad6b716920333"]
        {
            assert!(text.parse::<SpanId>().is_err(), "{text:?}");
        }
        assert!(SpanId::from_bytes(&[1; 7]).is_err());
        assert!(TraceId::from_bytes(&[0; 16]).is_err());
    }
}
