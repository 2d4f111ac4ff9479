//! Patterns of URL paths, as excluded paths are given, and of header names.

/// Paths, in which `*` stands for any run of characters.
#[derive(Debug, Clone, Default)]
pub(crate) struct PathPatterns {
    /// Those without a star, which are most of them.
    exact: Vec<String>,
    patterns: Vec<String>,
}

impl PathPatterns {
    pub(crate) fn new<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let (patterns, exact) =
            patterns.into_iter().map(Into::into).partition(|path: &String| path.contains('*'));
        Self { exact, patterns }
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.exact.iter().any(|exact| exact == path)
            || self.patterns.iter().any(|pattern| matches(pattern, path))
    }
}

/// Whether `text` is what `pattern` says, in which `*` stands for any run of characters.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_run_of_characters() {
        let table = [
            ("/health", "/health", true),
            ("/health", "/healthz", false),
            ("/health", "/api/health", false),
            ("/internal/*", "/internal/a/b", true),
            ("/internal/*", "/internal", false),
            ("*/ping", "/a/b/ping", true),
            ("/a*b*c", "/a-b-b-c", true),
            ("/a*b*c", "/a-c-b", false),
            ("/a*a", "/a", false),
            ("*", "/anything", true),
            ("", "/", false),
        ];
        for (pattern, path, wanted) in table {
            assert_eq!(PathPatterns::new([pattern]).matches(path), wanted, "{pattern} on {path}");
        }
    }
}
