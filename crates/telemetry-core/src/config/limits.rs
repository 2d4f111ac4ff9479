//! How large attributes may grow.

use super::Env;

/// Limits of a span's, an event's, a link's or a log record's attributes (specification, "Attribute Limits").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttributeLimits {
    /// How many there may be, 128 by default. What comes later is dropped and counted.
    pub count: u32,
    /// How many characters a text may have, each text of an array by itself, and how many bytes an array of
    /// bytes; no limit by default. What is longer is cut.
    pub value_length: Option<usize>,
}

impl AttributeLimits {
    /// `OTEL_ATTRIBUTE_COUNT_LIMIT` and `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT`: what holds for every signal that
    /// says nothing of its own.
    pub(super) fn read_general(env: &mut Env) -> Self {
        Self { count: 128, value_length: None }.read("OTEL", env)
    }

    /// `{prefix}_ATTRIBUTE_COUNT_LIMIT` and `{prefix}_ATTRIBUTE_VALUE_LENGTH_LIMIT`; `self` where they are unset.
    pub(super) fn read(self, prefix: &str, env: &mut Env) -> Self {
        const EXPECTED: &str = "a whole number";
        let count = env.setting(&format!("{prefix}_ATTRIBUTE_COUNT_LIMIT"), self.count, EXPECTED);
        let value_length = env.optional(&format!("{prefix}_ATTRIBUTE_VALUE_LENGTH_LIMIT"), EXPECTED);
        Self { count, value_length: value_length.or(self.value_length) }
    }
}
