//! What the HTTP server and client tell of a request beyond the default.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::Env;
use crate::capture;
use crate::names::KNOWN_METHODS;

/// Settings that the server's middleware and the client's share.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Http {
    /// `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, default the methods of RFC 9110, `PATCH` and `QUERY`: what
    /// `http.request.method` may be; any other method is `_OTHER`. A list replaces the default as a whole, and
    /// upper and lower case differ (semantic conventions, `http.request.method`).
    pub known_methods: Vec<String>,
    /// `OTEL_SEMCONV_STABILITY_OPT_IN`, `http` (default) or `http/dup`: whether spans and metrics have the names
    /// from before the conventions were stable (`http.method`, `http.server.duration` in ms, …) too. It is a list
    /// for all who share the environment: other categories than `http` change nothing here, or are refused where
    /// they ask for older names that are not made (`database/dup`, `code/dup`).
    pub old_names_too: bool,
    /// `OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS`, and `…_RESPONSE_HEADERS`.
    pub server_headers: CapturedHeaders,
    /// `OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_REQUEST_HEADERS`, and `…_RESPONSE_HEADERS`.
    pub client_headers: CapturedHeaders,
    /// `TRUSTED_PROXIES`, default none: addresses and networks (`10.0.0.0/8`) of the proxies in front of the server.
    /// `Forwarded` and `X-Forwarded-*` are believed from these alone.
    pub trusted_proxies: Vec<IpNet>,
}

/// Names of headers that become attributes of the span, `*` standing for any run of characters; default none.
///
/// The variables of the Python instrumentations (`OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST`,
/// `…_SERVER_RESPONSE`, `…_CLIENT_REQUEST`, `…_CLIENT_RESPONSE`) count where ours are unset. Names that may hold a
/// secret (`authorization`, `cookie`, anything with `token`, …) are refused as variables, and left out in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapturedHeaders {
    /// Of requests: `http.request.header.<name>`.
    pub request: Vec<String>,
    /// Of responses: `http.response.header.<name>`.
    pub response: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            known_methods: KNOWN_METHODS.map(str::to_owned).to_vec(),
            old_names_too: false,
            server_headers: CapturedHeaders::default(),
            client_headers: CapturedHeaders::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

impl Http {
    pub(super) fn read(env: &mut Env) -> Self {
        let default = Self::default();
        Self {
            known_methods: read_methods(default.known_methods, env),
            old_names_too: read_stability(env),
            server_headers: CapturedHeaders::read("SERVER", env),
            client_headers: CapturedHeaders::read("CLIENT", env),
            trusted_proxies: read_proxies(env),
        }
    }
}

impl CapturedHeaders {
    fn read(side: &str, env: &mut Env) -> Self {
        let mut read = |direction: &str| {
            let ours = format!("OTEL_INSTRUMENTATION_HTTP_{side}_CAPTURE_{direction}_HEADERS");
            let pythons = format!("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_{side}_{direction}");
            // What code says in our words is weaker than what the environment says in theirs.
            let is_pythons = env.source(&pythons) > env.source(&ours);
            read_headers(if is_pythons { &pythons } else { &ours }, env)
        };
        Self { request: read("REQUEST"), response: read("RESPONSE") }
    }
}

fn read_headers(name: &str, env: &mut Env) -> Vec<String> {
    const EXPECTED: &str =
        "names of headers, in which * stands for any characters, separated by commas, or none";
    const SECRET: &str = "only headers that hold no secret: this one is never captured";
    let headers: Vec<String> = env.list(name, Vec::new(), EXPECTED);
    for header in &headers {
        let is_name = header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_*".contains(&byte));
        if !is_name {
            env.reject(name, header, EXPECTED);
        } else if capture::is_secret(header) {
            env.reject(name, header, SECRET);
        }
    }
    headers.into_iter().map(|header| header.to_ascii_lowercase()).collect()
}

fn read_methods(default: Vec<String>, env: &mut Env) -> Vec<String> {
    const NAME: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
    const EXPECTED: &str = "HTTP methods such as GET, upper and lower case as sent, separated by commas";
    let methods: Vec<String> = env.list(NAME, default, EXPECTED);
    for method in methods.iter().filter(|method| http::Method::from_str(method).is_err()) {
        env.reject(NAME, method, EXPECTED);
    }
    methods
}

/// The names of HTTP, of databases and of code are the stable ones in any case; only those of HTTP may be doubled.
/// Categories that nothing here emits are for others who share the environment.
fn read_stability(env: &mut Env) -> bool {
    const NAME: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
    const EXPECTED: &str = "http (the stable names, the default) or http/dup (the older ones too)";
    let chosen: Vec<String> = env.list(NAME, vec!["http".to_owned()], EXPECTED);
    for category in &chosen {
        match category.as_str() {
            "http" | "http/dup" | "database" | "code" => {}
            "database/dup" | "code/dup" => env.reject(NAME, category, EXPECTED),
            "messaging"
            | "messaging/dup"
            | "rpc"
            | "rpc/dup"
            | "k8s"
            | "k8s/dup"
            | "gen_ai_latest_experimental" => {}
            _ => {
                env.warn(NAME, format!("no effect: {category} is no category of names that are emitted here"))
            }
        }
    }
    chosen.iter().any(|category| category == "http/dup")
}

/// A network, or the network of one address.
struct Network(IpNet);

fn read_proxies(env: &mut Env) -> Vec<IpNet> {
    const EXPECTED: &str = "addresses or networks such as 10.0.0.0/8, separated by commas, or none";
    let networks: Vec<Network> = env.list("TRUSTED_PROXIES", Vec::new(), EXPECTED);
    networks.into_iter().map(|Network(network)| network).collect()
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| ())?;
        Ok(Self(network))
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Http, String> {
        let mut env = Env::of(variables.iter().copied());
        let http = Http::read(&mut env);
        env.finish().map(|()| http).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_captured_trusted_or_told_twice_by_default() {
        let http = read(&[]).unwrap();
        assert_eq!(http.known_methods.len(), 10);
        assert!(!http.old_names_too);
        assert_eq!(http.server_headers, CapturedHeaders::default());
        assert!(http.trusted_proxies.is_empty());
    }

    #[test]
    fn every_setting_is_read() {
        let http = read(&[
            ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,PURGE"),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup"),
            ("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "Accept, x-app-*"),
            ("OTEL_INSTRUMENTATION_HTTP_CLIENT_CAPTURE_RESPONSE_HEADERS", "content-type"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ])
        .unwrap();
        assert_eq!(http.known_methods, ["GET", "PURGE"]);
        assert!(http.old_names_too);
        assert_eq!(http.server_headers.request, ["accept", "x-app-*"]);
        assert_eq!(http.client_headers.response, ["content-type"]);
        assert_eq!(
            http.trusted_proxies,
            ["10.0.0.0/8".parse().unwrap(), "::1/128".parse::<IpNet>().unwrap()]
        );
    }

    #[test]
    fn pythons_names_count_where_ours_are_unset() {
        let pythons = ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", "accept");
        assert_eq!(read(&[pythons]).unwrap().server_headers.request, ["accept"]);
        let ours = ("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "host");
        assert_eq!(read(&[pythons, ours]).unwrap().server_headers.request, ["host"]);
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        let told = read(&[
            ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "GET,a b"),
            ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,database/dup"),
            ("OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS", "accept.+,Authorization"),
            ("TRUSTED_PROXIES", "10.0.0.0/33,proxy"),
        ])
        .unwrap_err();
        for line in [
            "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS=a b: expected HTTP methods",
            "OTEL_SEMCONV_STABILITY_OPT_IN=database/dup: expected http",
            "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS=accept.+: expected names of headers",
            "OTEL_INSTRUMENTATION_HTTP_SERVER_CAPTURE_REQUEST_HEADERS=Authorization: expected only headers that",
            "TRUSTED_PROXIES=10.0.0.0/33: expected addresses",
            "TRUSTED_PROXIES=proxy: expected addresses",
        ] {
            assert!(told.contains(line), "{line} in {told}");
        }
        assert!(told.starts_with("the configuration has 6 mistakes"), "{told}");
    }
}
