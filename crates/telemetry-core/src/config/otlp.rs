//! The connection to a collector: OTLP over HTTP or gRPC (specification, "OpenTelemetry Protocol Exporter").

mod tls;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub use tls::Tls;

use super::list::pairs;
use super::{Env, Signal, Source};

/// How one signal reaches the collector. Each variable has a form for one signal, such as
/// `OTEL_EXPORTER_OTLP_TRACES_TIMEOUT`, which wins over the general `OTEL_EXPORTER_OTLP_TIMEOUT`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Otlp {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, default `http://localhost:4318`, to which `/v1/traces`, `/v1/metrics` or
    /// `/v1/logs` is added; the one of a signal is taken as it is. For `grpc` the default is
    /// `http://localhost:4317`, and there is no path.
    ///
    /// Without a scheme it is `http://`; for `grpc` it is `https://` unless `OTEL_EXPORTER_OTLP_INSECURE`, default
    /// `false`, is `true`.
    pub endpoint: Endpoint,
    /// `OTEL_EXPORTER_OTLP_PROTOCOL`, default `http/protobuf`.
    pub protocol: Protocol,
    /// `OTEL_EXPORTER_OTLP_HEADERS`, default none: sent with every export; metadata where the protocol is `grpc`.
    pub headers: Headers,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, default 10000 ms: the longest an export takes, retries included.
    pub timeout: Duration,
    /// `OTEL_EXPORTER_OTLP_COMPRESSION`, default `none`.
    pub compression: Compression,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`, `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`,
    /// default none: whom to trust, and who one is, where the endpoint is `https://`.
    pub tls: Tls,
}

/// The variables for all signals. What they mean for one depends on its protocol.
#[derive(Debug)]
pub(super) struct GeneralOtlp {
    /// Where one is set.
    endpoint: Option<Address>,
    insecure: bool,
    protocol: Protocol,
    headers: Headers,
    timeout: Duration,
    compression: Compression,
    tls: Tls,
}

impl GeneralOtlp {
    pub(super) fn read(env: &mut Env) -> Self {
        let protocol = env.setting("OTEL_EXPORTER_OTLP_PROTOCOL", Protocol::Protobuf, PROTOCOL);
        let insecure = env.flag("OTEL_EXPORTER_OTLP_INSECURE");
        if env.source(ENDPOINT_VARIABLE) == Source::Default {
            env.record(ENDPOINT_VARIABLE, protocol.default_endpoint(), Source::Default);
        }
        Self {
            endpoint: Address::read(ENDPOINT_VARIABLE, env, |address| address.endpoint(protocol, insecure)),
            insecure,
            protocol,
            headers: Headers::read("OTEL_EXPORTER_OTLP_HEADERS", env).unwrap_or_default(),
            timeout: env.timeout("OTEL_EXPORTER_OTLP_TIMEOUT", Duration::from_secs(10)),
            compression: env.setting("OTEL_EXPORTER_OTLP_COMPRESSION", Compression::None, COMPRESSION),
            tls: Tls::read(env),
        }
    }

    /// The general settings with those of one signal over them.
    pub(super) fn for_signal(&self, signal: Signal, env: &mut Env) -> Otlp {
        let own = |env: &Env, after: &str| {
            let general = format!("OTEL_EXPORTER_OTLP{after}");
            let variable = signal.variable("OTEL_EXPORTER_OTLP_", after);
            // What code says of one signal is weaker than what the environment says of all.
            (env.source(&variable) >= env.source(&general)).then_some(variable)
        };
        let [endpoint, protocol, headers, timeout, compression, insecure] =
            ["_ENDPOINT", "_PROTOCOL", "_HEADERS", "_TIMEOUT", "_COMPRESSION", "_INSECURE"]
                .map(|after| own(env, after));
        let protocol =
            protocol.and_then(|variable| env.optional(&variable, PROTOCOL)).unwrap_or(self.protocol);
        let insecure = insecure
            .filter(|variable| env.source(variable) > Source::Default)
            .map_or(self.insecure, |variable| env.flag(&variable));
        Otlp {
            endpoint: endpoint
                .and_then(|variable| self.own_endpoint(&variable, protocol, insecure, env))
                .unwrap_or_else(|| self.endpoint(signal, protocol, insecure, env)),
            protocol,
            headers: headers
                .and_then(|variable| Headers::read(&variable, env))
                .unwrap_or_else(|| self.headers.clone()),
            timeout: timeout.and_then(|variable| env.optional_timeout(&variable)).unwrap_or(self.timeout),
            compression: compression
                .and_then(|variable| env.optional(&variable, COMPRESSION))
                .unwrap_or(self.compression),
            tls: self.tls.for_signal(own, signal, env),
        }
    }

    /// The endpoint that only this signal has.
    fn own_endpoint(
        &self,
        variable: &str,
        protocol: Protocol,
        insecure: bool,
        env: &mut Env,
    ) -> Option<Endpoint> {
        let endpoint = |address: &Address| address.endpoint(protocol, insecure);
        let endpoint = endpoint(&Address::read(variable, env, endpoint)?);
        refuse_path(variable, protocol, &endpoint, env);
        Some(endpoint)
    }

    /// The endpoint of all signals, as this one uses it.
    fn endpoint(&self, signal: Signal, protocol: Protocol, insecure: bool, env: &mut Env) -> Endpoint {
        let endpoint = match &self.endpoint {
            Some(address) => address.endpoint(protocol, insecure),
            None => protocol.default_endpoint().parse().expect("the default endpoint is a URL"),
        };
        match protocol {
            Protocol::Protobuf | Protocol::Json => endpoint.for_signal(signal),
            Protocol::Grpc => {
                refuse_path(ENDPOINT_VARIABLE, protocol, &endpoint, env);
                endpoint
            }
        }
    }
}

const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const ENDPOINT: &str = "an http:// or https:// URL without user, query or fragment, such as \
                        http://localhost:4318 (credentials go to OTEL_EXPORTER_OTLP_HEADERS)";
const PROTOCOL: &str = "http/protobuf, http/json or grpc";
const COMPRESSION: &str = "gzip or none";

/// gRPC has paths of its own; one that is given would be ignored without a word.
fn refuse_path(variable: &str, protocol: Protocol, endpoint: &Endpoint, env: &mut Env) {
    const EXPECTED: &str = "no path where the protocol is grpc, such as http://localhost:4317";
    if protocol == Protocol::Grpc && endpoint.0.path() != "/" {
        env.reject(variable, &endpoint.to_string(), EXPECTED);
    }
}

/// An endpoint as it is written: whether a missing scheme means encryption depends on the protocol.
#[derive(Debug, Clone)]
struct Address {
    /// `http` where it has no scheme.
    endpoint: Endpoint,
    has_scheme: bool,
}

impl Address {
    /// Reads it, and records what `endpoint` makes of it.
    fn read(variable: &str, env: &mut Env, endpoint: impl Fn(&Self) -> Endpoint) -> Option<Self> {
        let (text, source) = env.find(variable)?;
        let Ok(parsed) = text.parse::<Endpoint>() else {
            // Credentials in it must not be shown.
            let shown = if text.contains(['@', '?']) { "" } else { &text };
            env.reject(variable, shown, ENDPOINT);
            return None;
        };
        let address = Self { endpoint: parsed, has_scheme: text.contains("://") };
        env.record(variable, endpoint(&address).to_string(), source);
        Some(address)
    }

    fn endpoint(&self, protocol: Protocol, insecure: bool) -> Endpoint {
        let mut endpoint = self.endpoint.clone();
        if protocol == Protocol::Grpc && !self.has_scheme && !insecure {
            // From one special scheme to another it cannot fail.
            let _ = endpoint.0.set_scheme("https");
        }
        endpoint
    }
}

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
        let has_scheme = text.contains("://");
        let url = if has_scheme { Url::parse(text) } else { Url::parse(&format!("http://{text}")) };
        // `http//collector:4318` and `http:/collector:4318` are misspelt schemes, and no hosts of that name.
        let is_misspelt = |url: &Url| {
            !has_scheme && (matches!(url.host_str(), Some("http" | "https")) || url.path().starts_with("//"))
        };
        let plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        };
        url.ok().filter(|url| plain(url) && !is_misspelt(url)).map(Self).ok_or(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How exports are encoded and carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `http/protobuf`.
    Protobuf,
    /// `http/json`.
    Json,
    /// `grpc`.
    Grpc,
}

impl Protocol {
    fn default_endpoint(self) -> &'static str {
        match self {
            Self::Protobuf | Self::Json => "http://localhost:4318",
            Self::Grpc => "http://localhost:4317",
        }
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.to_ascii_lowercase().as_str() {
            "http/protobuf" => Ok(Self::Protobuf),
            "http/json" => Ok(Self::Json),
            "grpc" => Ok(Self::Grpc),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protobuf => "http/protobuf",
            Self::Json => "http/json",
            Self::Grpc => "grpc",
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
