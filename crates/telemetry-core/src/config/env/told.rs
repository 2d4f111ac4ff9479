//! What reading tells: the settings in force, the mistakes that stop the start, and warnings.

use std::fmt;

use serde::Serialize;

/// An effective value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The variable that decides it.
    pub name: String,
    /// The value in force, as the variable would hold it; secrets are masked.
    pub value: String,
    /// Who decided.
    pub source: Source,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.name, self.value, self.source)
    }
}

/// Who decided a value, the weakest first: a file wins over the environment, the environment over code, code over the
/// default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The library's own default.
    Default,
    /// The program: [`Env::with_defaults`](super::Env::with_defaults), or an argument.
    Code,
    /// A variable.
    Environment,
    /// The file that `OTEL_CONFIG_FILE` names.
    File,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Code => "code",
            Self::Environment => "environment",
            Self::File => "file",
        })
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

/// What does not stop the start, but is most likely not what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The variable's name.
    pub variable: String,
    /// What is the matter with it.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.message)
    }
}

/// Every mistake of a configuration.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub(super) mistakes: Vec<Mistake>,
}

/// The same as its display: `fn main() -> Result<…>` shows an error's debug form to an operator.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
