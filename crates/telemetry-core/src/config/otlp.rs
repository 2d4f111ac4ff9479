//! The connection to a collector: OTLP over HTTP.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::list::pairs;
use super::{Env, Signal, Source};

/// How one signal reaches the collector. Each variable has a form for one signal, such as
/// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, which wins over the general `OTEL_EXPORTER_OTLP_TIMEOUT`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Otlp {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, default `http://localhost:4318`, to which `/v1/traces`, `/v1/metrics` or
    /// `/v1/logs` is added; the one of a signal is taken as it is.
    pub endpoint: Endpoint,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, default `http/protobuf`.
    pub protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, default none: sent with every export.
    pub headers: Headers,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, default 10000 ms: the longest an export takes, retries included.
    pub timeout: Duration,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION`, default `none`.
    pub compression: Compression,
}

impl Otlp {
    /// The general variables; the endpoint is still without a signal's path.
    pub(super) fn read(env: &mut Env) -> Self {
        Self {
            endpoint: read_general_endpoint(env),
            protocol: env.setting("OTEL_EXPORTER_OTLP_PROTOCOL", Protocol::Protobuf, PROTOCOL),
            headers: Headers::read("OTEL_EXPORTER_OTLP_HEADERS", env).unwrap_or_default(),
            timeout: env.timeout("OTEL_EXPORTER_OTLP_TIMEOUT", Duration::from_secs(10)),
            compression: env.setting("OTEL_EXPORTER_OTLP_COMPRESSION", Compression::None, COMPRESSION),
        }
    }

    /// The general settings with those of one signal over them.
    pub(super) fn for_signal(&self, signal: Signal, env: &mut Env) -> Self {
        let own = |after: &str| {
            let general = format!("OTEL_EXPORTER_OTLP{after}");
            let variable = signal.variable("OTEL_EXPORTER_OTLP_", after);
            // What code says of one signal is weaker than what the environment says of all.
            (env.source(&variable) >= env.source(&general)).then_some(variable)
        };
        let [endpoint, protocol, headers, timeout, compression] =
            ["_ENDPOINT", "_PROTOCOL", "_HEADERS", "_TIMEOUT", "_COMPRESSION"].map(own);
        Self {
            endpoint: endpoint
                .and_then(|variable| Endpoint::read(&variable, env))
                .unwrap_or_else(|| self.endpoint.for_signal(signal)),
            protocol: protocol
                .and_then(|variable| env.optional(&variable, PROTOCOL))
                .unwrap_or(self.protocol),
            headers: headers
                .and_then(|variable| Headers::read(&variable, env))
                .unwrap_or_else(|| self.headers.clone()),
            timeout: timeout.and_then(|variable| env.optional_timeout(&variable)).unwrap_or(self.timeout),
            compression: compression
                .and_then(|variable| env.optional(&variable, COMPRESSION))
                .unwrap_or(self.compression),
        }
    }
}

fn read_general_endpoint(env: &mut Env) -> Endpoint {
    const NAME: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    if env.source(NAME) == Source::Default {
        env.record(NAME, DEFAULT_ENDPOINT, Source::Default);
    }
    Endpoint::read(NAME, env)
        .unwrap_or_else(|| DEFAULT_ENDPOINT.parse().expect("the default endpoint is a URL"))
}

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const ENDPOINT: &str = "an http:// or https:// URL without user, query or fragment, such as \
                        http://localhost:4318 (credentials go to OTEL_EXPORTER_OTLP_HEADERS)";
const PROTOCOL: &str = "http/protobuf or http/json (grpc is not supported yet)";
const COMPRESSION: &str = "gzip or none";

/// A collector's address. Without a scheme it is `http://`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The address as a URL.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    fn read(variable: &str, env: &mut Env) -> Option<Self> {
        let (text, source) = env.find(variable)?;
        match text.parse::<Self>() {
            Ok(endpoint) => {
                env.record(variable, endpoint.to_string(), source);
                Some(endpoint)
            }
            Err(()) => {
                // Credentials in it must not be shown.
                let shown = if text.contains(['@', '?']) { "" } else { &text };
                env.reject(variable, shown, ENDPOINT);
                None
            }
        }
    }

    fn for_signal(&self, signal: Signal) -> Self {
        let mut url = self.0.clone();
        let path = format!("{}/v1/{signal}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Self(url)
    }
}

impl FromStr for Endpoint {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        let plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        url.ok().filter(plain).map(Self).ok_or(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How exports are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    Protobuf,
    /// `http/json`.
    Json,
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "http/protobuf" => Ok(Self::Protobuf),
            "http/json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
        })
    }
}

/// How exports are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// `gzip`.
    Gzip,
}

impl FromStr for Compression {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        })
    }
}

/// Headers for a collector. They hold credentials, so only their names are ever printed.
#[derive(Clone, Default)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The headers themselves, values marked as sensitive.
    pub fn expose(&self) -> &HeaderMap {
        &self.0
    }

    fn read(variable: &str, env: &mut Env) -> Option<Self> {
        let (text, source) = env.find(variable)?;
        match text.parse::<Self>() {
            Ok(headers) => {
                env.record(variable, headers.to_string(), source);
                Some(headers)
            }
            Err(()) => {
                env.reject(variable, "", "name=value pairs separated by commas, values percent-encoded");
                None
            }
        }
    }
}

impl FromStr for Headers {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs(text).ok_or(())? {
            let name: HeaderName = name.parse().map_err(drop)?;
            let mut value = HeaderValue::from_str(&value).map_err(drop)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self(headers))
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for name in self.0.keys() {
            write!(f, "{separator}{name}=***")?;
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({self})")
    }
}
