//! Reading variables so that every mistake is told, all at once, and every value knows its source.

mod told;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::{Signal, file, variables};

pub use told::{ConfigError, Mistake, Setting, Source, Warning};

/// Variables to read from, the mistakes found while reading, and a record of what was read.
///
/// Parsing never stops at the first mistake: a reader returns the default, notes the mistake,
/// and [`Env::finish`] reports them together. An empty variable counts as unset, as the
/// OpenTelemetry specification rules for its own ("Environment Variable Specification").
///
/// What code wants to be different from the built-in defaults it says in the same words, with
/// [`Env::with_defaults`]; the environment still wins.
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
    lookup: Box<Lookup>,
    names: Vec<String>,
    files: BTreeMap<PathBuf, String>,
    /// What `OTEL_CONFIG_FILE` says, once it is read.
    file: Option<file::Settings>,
    defaults: BTreeMap<String, String>,
    settings: Vec<Setting>,
    mistakes: Vec<Mistake>,
    warnings: Vec<Warning>,
}

type Lookup = dyn Fn(&str) -> Option<String>;

impl Env {
    /// The variables of this process. Bytes that are no UTF-8 become U+FFFD, so that a check can refuse them.
    pub fn process() -> Self {
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
            .with_names(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))
    }

    /// Just these variables; what tests use, so that none of them touches the process's own.
    pub fn of<K: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (K, V)>) -> Self {
        let variables = collect(variables);
        let names: Vec<String> = variables.keys().cloned().collect();
        Self::from_lookup(move |name| variables.get(name).cloned()).with_names(names)
    }

    /// Any source of variables. A look-up tells nothing of variables that nobody asks for; [`Env::with_names`] does.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String> + 'static) -> Self {
        Self {
            lookup: Box::new(lookup),
            names: Vec::new(),
            files: BTreeMap::new(),
            file: None,
            defaults: BTreeMap::new(),
            settings: Vec::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The names of the variables that are there, so that misspelt ones can be warned about.
    #[must_use]
    pub fn with_names<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self.names.sort_unstable();
        self
    }

    /// A file that `OTEL_CONFIG_FILE` may name, in place of one of the machine.
    ///
    /// ```
    /// use telemetry_core::Config;
    /// use telemetry_core::config::Env;
    ///
    /// let mut env = Env::of([("OTEL_CONFIG_FILE", "otel.yaml")])
    ///     .with_file("otel.yaml", "file_format: \"1.0\"\ndisabled: true");
    /// let config = Config::read("order-service", "1.2.0", &mut env);
    /// env.finish()?;
    /// assert!(config.disabled);
    /// assert!(config.summary().contains("OTEL_SDK_DISABLED = true (file)"));
    /// # Ok::<(), telemetry_core::config::ConfigError>(())
    /// ```
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        self.files.insert(path.into(), text.into());
        self
    }

    /// Values for variables that the environment leaves unset or empty: what code asks for.
    ///
    /// ```
    /// use telemetry_core::config::Env;
    ///
    /// let env = Env::of([("PORT", "1")]).with_defaults([("PORT", "2"), ("HOST", "::1")]);
    /// assert_eq!(env.text("PORT").as_deref(), Some("1"));
    /// assert_eq!(env.text("HOST").as_deref(), Some("::1"));
    /// ```
    #[must_use]
    pub fn with_defaults<K: Into<String>, V: Into<String>>(
        mut self,
        defaults: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.add_defaults(defaults);
        self
    }

    /// [`Env::with_defaults`] of one that is borrowed.
    pub(crate) fn add_defaults<K: Into<String>, V: Into<String>>(
        &mut self,
        defaults: impl IntoIterator<Item = (K, V)>,
    ) {
        self.defaults.extend(collect(defaults));
    }

    /// The variable's text without surrounding white space; `None` where unset or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.find(name).map(|(text, _)| text)
    }

    /// The variable's text and who gave it.
    pub(crate) fn find(&self, name: &str) -> Option<(String, Source)> {
        if let Some(given) = self.file.as_ref().and_then(|file| file.find(name)) {
            return Some(given);
        }
        // Beside a file the environment has no OpenTelemetry settings.
        let is_ignored = self.file.is_some() && name.starts_with("OTEL_");
        let set = if is_ignored { None } else { self.set(name) };
        let default = || self.defaults.get(name).cloned().and_then(non_empty);
        set.map(|text| (text, Source::Environment)).or_else(|| default().map(|text| (text, Source::Code)))
    }

    /// The variable's text in the environment.
    fn set(&self, name: &str) -> Option<String> {
        (self.lookup)(name).and_then(non_empty)
    }

    /// Reads the file that `OTEL_CONFIG_FILE` names. From here on it decides in place of `OTEL_*` variables.
    pub(crate) fn read_config_file(&mut self) {
        const NAME: &str = "OTEL_CONFIG_FILE";
        let Some((path, source)) = self.find(NAME) else { return };
        self.record(NAME, &path, source);
        if !path.ends_with(".yaml") && !path.ends_with(".yml") {
            return self.reject(NAME, &path, "a file of YAML, with the extension .yaml or .yml");
        }
        let text = match self.files.get(Path::new(&path)) {
            Some(text) => Ok(text.clone()),
            None => read_file(Path::new(&path)),
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => return self.reject(NAME, &path, &format!("a file that can be read ({error})")),
        };
        let name = path.rsplit('/').next().unwrap_or(&path);
        let mut file = file::Settings::read(name, &text, &self.lookup);
        self.mistakes.append(&mut file.mistakes);
        for message in std::mem::take(&mut file.warnings) {
            self.warn(NAME, message);
        }
        let is_ignored = |name: &&String| {
            name.starts_with("OTEL_")
                && *name != NAME
                && !file.references.contains(*name)
                && !variables::is_of_others(name)
                && self.set(name).is_some()
        };
        let ignored: Vec<&str> = self.names.iter().filter(is_ignored).map(String::as_str).collect();
        if !ignored.is_empty() {
            let message = format!("{path} decides; no effect have {}", ignored.join(", "));
            self.warn(NAME, message);
        }
        self.file = Some(file);
    }

    /// What the file says that no variable can.
    pub(super) fn file(&self) -> Option<&file::Settings> {
        self.file.as_ref()
    }

    /// Reads each further exporter of a signal that the file names, in the words of the variables of the first. `read`
    /// answers it and how it is shown; what it recorded of single variables is forgotten, since those are the first's.
    pub(super) fn each_further<T>(
        &mut self,
        signal: Signal,
        mut read: impl FnMut(&mut Self) -> (T, String),
    ) -> Vec<T> {
        let all = self.file.as_ref().map(|file| file.further.clone()).unwrap_or_default();
        let mut found = Vec::new();
        for further in all.into_iter().filter(|further| further.signal == signal) {
            let swap = |env: &mut Self, given| {
                env.file.as_mut().map(|file| std::mem::replace(&mut file.given, given)).unwrap_or_default()
            };
            let first = swap(self, further.given);
            let recorded = self.settings.len();
            let (one, shown) = read(self);
            self.settings.truncate(recorded);
            self.record(&further.path, shown, Source::File);
            swap(self, first);
            found.push(one);
        }
        found
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

    /// Like [`Env::parse_or`], and the value and its source appear in [`Env::settings`].
    pub fn setting<T: FromStr + fmt::Display>(&mut self, name: &str, default: T, expected: &str) -> T {
        self.recorded(name, default, expected, |text| text.parse().ok(), T::to_string)
    }

    /// Like [`Env::setting`] without a default: nothing is recorded where the variable is unset.
    pub fn optional<T: FromStr + fmt::Display>(&mut self, name: &str, expected: &str) -> Option<T> {
        let (text, source) = self.find(name)?;
        let value = self.parse_with(name, expected, |text| text.parse::<T>().ok());
        self.record(name, value.as_ref().map_or(text, T::to_string), source);
        value
    }

    /// `true` or `false`, whatever the case; the default is `false`, as the specification wants of every boolean.
    pub fn flag(&mut self, name: &str) -> bool {
        let parse = |text: &str| text.to_ascii_lowercase().parse().ok();
        self.recorded(name, false, "true or false", parse, bool::to_string)
    }

    /// A whole number greater than zero.
    pub fn positive(&mut self, name: &str, default: usize) -> usize {
        let parse = |text: &str| text.parse().ok().filter(|number| *number > 0);
        self.recorded(name, default, "a whole number greater than 0", parse, usize::to_string)
    }

    /// A span of time in whole milliseconds, greater than zero.
    pub fn milliseconds(&mut self, name: &str, default: Duration) -> Duration {
        let parse = |text: &str| text.parse().ok().filter(|number| *number > 0).map(Duration::from_millis);
        let show = |value: &Duration| value.as_millis().to_string();
        self.recorded(name, default, "milliseconds, a whole number greater than 0", parse, show)
    }

    /// A longest time in whole milliseconds; 0 means no limit (the specification's rule) and is [`Duration::MAX`].
    pub fn timeout(&mut self, name: &str, default: Duration) -> Duration {
        self.recorded(name, default, TIMEOUT, parse_timeout, show_timeout)
    }

    /// Like [`Env::timeout`] without a default.
    pub fn optional_timeout(&mut self, name: &str) -> Option<Duration> {
        let (text, source) = self.find(name)?;
        let value = self.parse_with(name, TIMEOUT, parse_timeout);
        self.record(name, value.as_ref().map_or(text, show_timeout), source);
        value
    }

    /// A list separated by commas; `none` alone is the empty list. Each unknown item is a mistake of its own,
    /// repeated ones count once.
    pub fn list<T: FromStr + fmt::Display + PartialEq>(
        &mut self,
        name: &str,
        default: Vec<T>,
        expected: &str,
    ) -> Vec<T> {
        self.list_with(name, default, |item| item.parse().map_err(|_| expected.to_owned()))
    }

    /// [`Env::list`] whose items are read by a function that answers what would have been right.
    pub(crate) fn list_with<T: fmt::Display + PartialEq>(
        &mut self,
        name: &str,
        default: Vec<T>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Vec<T> {
        let (values, source) = match self.find(name) {
            None => (default, Source::Default),
            Some((text, source)) if text.eq_ignore_ascii_case("none") => (Vec::new(), source),
            Some((text, source)) => {
                let mut values = Vec::new();
                for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                    match parse(item) {
                        Ok(value) if values.contains(&value) => {}
                        Ok(value) => values.push(value),
                        Err(expected) => self.reject(name, item, &expected),
                    }
                }
                (values, source)
            }
        };
        let shown: Vec<String> = values.iter().map(T::to_string).collect();
        self.record(name, if shown.is_empty() { "none".to_owned() } else { shown.join(",") }, source);
        values
    }

    /// Who gives the variable; [`Source::Default`] where nobody does.
    pub(crate) fn source(&self, name: &str) -> Source {
        self.find(name).map_or(Source::Default, |(_, source)| source)
    }

    /// A value by a function of its own, recorded with its source.
    pub(crate) fn recorded<T>(
        &mut self,
        name: &str,
        default: T,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
        show: impl FnOnce(&T) -> String,
    ) -> T {
        let source = self.source(name);
        let value = self.parse_with(name, expected, parse).unwrap_or(default);
        self.record(name, show(&value), source);
        value
    }

    /// Notes an effective value that was found in another way. Mask a secret before it comes here.
    pub fn record(&mut self, name: &str, value: impl Into<String>, source: Source) {
        self.settings.push(Setting { name: name.to_owned(), value: value.into(), source });
    }

    /// Records a setting in place of those of its name.
    pub(super) fn replace(&mut self, setting: Setting) {
        self.settings.retain(|other| other.name != setting.name);
        self.settings.push(setting);
    }

    /// What was recorded so far, in the order of reading.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// Notes a mistake, the same one once. `value` is shown to the operator: leave it out (`""`) for a secret.
    pub fn reject(&mut self, name: &str, value: &str, expected: &str) {
        let mistake = Mistake {
            variable: self.file.as_ref().and_then(|file| file.place(name)).unwrap_or(name).to_owned(),
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// Notes what does not stop the start, but is most likely not what was meant.
    pub fn warn(&mut self, name: &str, message: impl Into<String>) {
        self.warnings.push(Warning { variable: name.to_owned(), message: message.into() });
    }

    /// The warnings noted so far.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Warns of every `OTEL_*` variable that is set and that nobody known here reads.
    pub(crate) fn warn_of_unknown(&mut self) {
        // Beside a file they were told of already.
        let is_set = |name: &&String| self.file.is_none() && self.set(name).is_some();
        let unknown = self.names.iter().filter(|name| variables::is_unknown(name)).filter(is_set);
        let warnings: Vec<(String, String)> = unknown
            .map(|name| match variables::nearest(name) {
                Some(nearest) => (name.clone(), format!("unknown; did you mean {nearest}?")),
                None => (name.clone(), "unknown; it has no effect".to_owned()),
            })
            .collect();
        warnings.into_iter().for_each(|(name, message)| self.warn(&name, message));
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All mistakes noted so far, in the order they were found.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(ConfigError { mistakes: self.mistakes }) }
    }
}

const TIMEOUT: &str = "milliseconds, a whole number (0 for no limit)";

fn parse_timeout(text: &str) -> Option<Duration> {
    match text.parse().ok()? {
        0 => Some(Duration::MAX),
        milliseconds => Some(Duration::from_millis(milliseconds)),
    }
}

fn show_timeout(value: &Duration) -> String {
    if *value == Duration::MAX { "0".to_owned() } else { value.as_millis().to_string() }
}

fn non_empty(value: String) -> Option<String> {
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// More than any configuration; what else the variable may name by mistake.
const LARGEST_FILE: u64 = 1 << 20;

/// The text of a regular file: others may have no end, or wait.
fn read_file(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    let size = File::open(path)?.take(LARGEST_FILE).read_to_string(&mut text)?;
    if size as u64 == LARGEST_FILE { Err(io::Error::other("larger than 1 MiB")) } else { Ok(text) }
}

fn collect<K: Into<String>, V: Into<String>>(
    variables: impl IntoIterator<Item = (K, V)>,
) -> BTreeMap<String, String> {
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[cfg(test)]
mod tests;
