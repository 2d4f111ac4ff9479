//! Certificates and keys of an encrypted connection to a collector.

use std::fmt;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::super::{Env, Signal, Source};

const CERTIFICATE: &str = "_CERTIFICATE";
const CLIENT_CERTIFICATE: &str = "_CLIENT_CERTIFICATE";
const CLIENT_KEY: &str = "_CLIENT_KEY";

/// Whom to trust, and who one is. Files are read once, at the start; what they hold is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    roots: Option<File>,
    client_certificate: Option<File>,
    client_key: Option<File>,
}

impl Tls {
    /// Certificates in PEM that are trusted in place of the machine's (`OTEL_EXPORTER_OTLP_CERTIFICATE`).
    pub fn roots(&self) -> Option<&[u8]> {
        self.roots.as_ref().map(|file| &*file.content)
    }

    /// The certificate chain and the key in PEM, one after the other, that one shows to the collector
    /// (`OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`). The key is a secret.
    pub fn identity(&self) -> Option<Vec<u8>> {
        let (certificate, key) = self.client_certificate.as_ref().zip(self.client_key.as_ref())?;
        Some([&certificate.content[..], b"\n", &key.content].concat())
    }

    /// The general variables.
    pub(super) fn read(env: &mut Env) -> Self {
        let name = |after: &str| format!("OTEL_EXPORTER_OTLP{after}");
        let tls = Self {
            roots: File::read(&name(CERTIFICATE), check_roots, env),
            client_certificate: File::read(&name(CLIENT_CERTIFICATE), check_certificates, env),
            client_key: File::read(&name(CLIENT_KEY), check_key, env),
        };
        tls.check_pair(name, env);
        tls
    }

    /// Those of one signal over these. `own` tells the signal's variable where it counts.
    pub(super) fn for_signal(
        &self,
        own: impl Fn(&Env, &str) -> Option<String>,
        signal: Signal,
        env: &mut Env,
    ) -> Self {
        let mut has_own = false;
        let mut read = |after, check: Check, general: &Option<File>| {
            let variable = own(env, after).filter(|variable| env.source(variable) > Source::Default);
            match variable {
                None => general.clone(),
                Some(variable) => {
                    has_own = true;
                    File::read(&variable, check, env)
                }
            }
        };
        let tls = Self {
            roots: read(CERTIFICATE, check_roots, &self.roots),
            client_certificate: read(CLIENT_CERTIFICATE, check_certificates, &self.client_certificate),
            client_key: read(CLIENT_KEY, check_key, &self.client_key),
        };
        if has_own {
            tls.check_pair(|after| signal.variable("OTEL_EXPORTER_OTLP_", after), env);
        }
        tls
    }

    /// A key is of use with its certificate only, and the reverse.
    fn check_pair(&self, name: impl Fn(&str) -> String, env: &mut Env) {
        let (certificate, key) = (name(CLIENT_CERTIFICATE), name(CLIENT_KEY));
        match (&self.client_certificate, &self.client_key) {
            (Some(chain), Some(secret)) if !chain.is_certificate_of(secret) => {
                env.reject(&key, &secret.path, &format!("the private key of {certificate}"));
            }
            // A file that cannot be read was told already.
            (None, Some(secret)) if env.text(&certificate).is_none() => {
                env.reject(&certificate, "", &format!("the certificate of {key}={}", secret.path));
            }
            (Some(chain), None) if env.text(&key).is_none() => {
                env.reject(&key, "", &format!("the private key of {certificate}={}", chain.path));
            }
            _ => {}
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |file: &Option<File>| file.as_ref().map(|file| file.path.clone());
        f.debug_struct("Tls")
            .field("roots", &path(&self.roots))
            .field("client_certificate", &path(&self.client_certificate))
            .field("client_key", &path(&self.client_key))
            .finish()
    }
}

/// A file in PEM, checked.
#[derive(Clone, PartialEq, Eq)]
struct File {
    path: String,
    content: Arc<[u8]>,
}

/// Whether the content is what the variable asks for; else what would be.
type Check = fn(&[u8]) -> Result<(), &'static str>;

impl File {
    fn read(variable: &str, check: Check, env: &mut Env) -> Option<Self> {
        let (path, source) = env.find(variable)?;
        env.record(variable, &path, source);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) => {
                env.reject(variable, &path, &format!("a file in PEM that can be read ({error})"));
                return None;
            }
        };
        match check(&content) {
            Ok(()) => Some(Self { path, content: content.into() }),
            Err(expected) => {
                env.reject(variable, &path, expected);
                None
            }
        }
    }

    fn is_certificate_of(&self, key: &Self) -> bool {
        let Some(certificates) = certificates(&self.content) else { return false };
        let Ok(key) = PrivateKeyDer::from_pem_slice(&key.content) else { return false };
        CertifiedKey::from_der(certificates, key, &ring::default_provider())
            .is_ok_and(|pair| pair.keys_match().is_ok())
    }
}

/// `None` where there is none, or one that is no certificate.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.ok().filter(|certificates| !certificates.is_empty())
}

fn check_certificates(pem: &[u8]) -> Result<(), &'static str> {
    certificates(pem).map(drop).ok_or("a file with certificates in PEM (-----BEGIN CERTIFICATE-----)")
}

fn check_roots(pem: &[u8]) -> Result<(), &'static str> {
    check_certificates(pem)?;
    let mut roots = RootCertStore::empty();
    let mut certificates = certificates(pem).unwrap_or_default().into_iter();
    let is_usable = certificates.all(|certificate| roots.add(certificate).is_ok());
    if is_usable { Ok(()) } else { Err("certificates of X.509 in PEM, each of which can be a root of trust") }
}

fn check_key(pem: &[u8]) -> Result<(), &'static str> {
    const EXPECTED: &str = "a file with an unencrypted private key in PEM (-----BEGIN PRIVATE KEY-----), \
                            RSA, ECDSA or Ed25519";
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| EXPECTED)?;
    ring::default_provider().key_provider.load_private_key(key).map(drop).map_err(|_| EXPECTED)
}
