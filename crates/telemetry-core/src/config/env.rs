//! Reading variables so that every mistake is told, all at once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Variables to read from, and the mistakes found while reading.
///
/// Parsing never stops at the first mistake: a reader returns the default, notes the mistake,
/// and [`Env::finish`] reports them together. An empty variable counts as unset, as the
/// OpenTelemetry specification rules for its own ("Environment Variable Specification").
///
/// ```
/// use telemetry_core::config::Env;
///
/// let mut env = Env::of([("PORT", "abc")]);
/// assert_eq!(env.parse_or("PORT", 8080_u16, "a port, 0 to 65535"), 8080);
/// let error = env.finish().unwrap_err();
/// assert_eq!(error.mistakes()[0].variable, "PORT");
/// ```
pub struct Env {
    lookup: Box<dyn Fn(&str) -> Option<String>>,
    mistakes: Vec<Mistake>,
}

impl Env {
    /// The variables of this process.
    pub fn process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Just these variables; what tests use, so that none of them touches the process's own.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables: BTreeMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self::from_lookup(move |name| variables.get(name).cloned())
    }

    /// Any source of variables.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self { lookup: Box::new(lookup), mistakes: Vec::new() }
    }

    /// The variable's text without surrounding white space; `None` where unset or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The variable parsed as `T`. `expected` says what would have been right.
    pub fn parse<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        self.parse_with(name, expected, |text| text.parse().ok())
    }

    /// The variable parsed as `T`, or `default` where it is unset or wrong.
    pub fn parse_or<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        self.parse(name, expected).unwrap_or(default)
    }

    /// The variable read by a function that answers `None` to a wrong value.
    pub fn parse_with<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.reject(name, &text, expected);
        }
        value
    }

    /// Notes a mistake. `value` is shown to the operator: leave it out (`""`) for a secret.
    pub fn reject(&mut self, name: &str, value: &str, expected: &str) {
        self.mistakes.push(Mistake {
            variable: name.to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes noted so far, in the order they were found.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(ConfigError { mistakes: self.mistakes }) }
    }
}

/// One wrong variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The variable's name.
    pub variable: String,
    /// What it held; empty for a secret or a missing value.
    pub value: String,
    /// What would have been right.
    pub expected: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.value.is_empty() {
            write!(f, "{}: expected {}", self.variable, self.expected)
        } else {
            write!(f, "{}={}: expected {}", self.variable, self.value, self.expected)
        }
    }
}

/// Every mistake of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
}

impl ConfigError {
    /// The mistakes, in the order they were found.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} mistake", self.mistakes.len())?;
        if self.mistakes.len() > 1 {
            f.write_str("s")?;
        }
        for mistake in &self.mistakes {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}
