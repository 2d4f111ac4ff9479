//! A handshake that tells what certificate it saw, also where it refuses it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_platform_verifier::Verifier;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_cert::der::Decode;

use crate::config::Otlp;

/// An encrypted connection.
pub(super) type Stream = TlsStream<TcpStream>;

/// Whom to trust, and who one is: what the exporter has from the same settings.
pub(super) struct Trust {
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Trust {
    /// As the settings say: their roots in place of the machine's.
    pub(super) fn of(otlp: &Otlp) -> Result<Self, String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let verifier: Arc<dyn ServerCertVerifier> = match otlp.tls.roots() {
            None => return Self::of_machine().and_then(|trust| trust.with_identity(otlp)),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| text(&error))?;
                    roots.add(certificate).map_err(|error| text(&error))?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
                    .build()
                    .map_err(|error| text(&error))?
            }
        };
        Self { verifier, identity: None }.with_identity(otlp)
    }

    fn with_identity(mut self, otlp: &Otlp) -> Result<Self, String> {
        if let Some(pem) = otlp.tls.identity() {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
            self.identity = Some((certificates.map_err(|error| error.to_string())?, key));
        }
        Ok(self)
    }

    /// The machine's certificates, and nobody in particular.
    pub(super) fn of_machine() -> Result<Self, String> {
        let verifier = Verifier::new(provider()).map_err(|error| error.to_string())?;
        Ok(Self { verifier: Arc::new(verifier), identity: None })
    }

    fn anybody() -> Self {
        Self { verifier: Arc::new(Anybody(provider())), identity: None }
    }

    fn config(self, protocols: &[&[u8]], recording: Arc<Recording>) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(recording);
        let mut config = match self.identity {
            Some((certificates, key)) => builder.with_client_auth_cert(certificates, key)?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(config)
    }
}

/// A handshake that worked, or why it did not.
pub(super) struct Handshake {
    /// The encrypted connection.
    pub(super) result: Result<Box<Stream>, HandshakeError>,
    /// What the server showed, where it came to that.
    pub(super) certificate: Option<Certificate>,
}

/// Why there is no encrypted connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    /// The other side speaks TLS, and one of the two does not like the other.
    #[error("{0}")]
    Tls(Error),
    /// What came back is no TLS.
    #[error("what answers is no TLS")]
    NoTls,
    /// The connection broke.
    #[error("{0}")]
    Io(std::io::Error),
    /// No end of it in time.
    #[error("no answer to the handshake")]
    Late,
}

/// What is told of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// Whose it is.
    pub(super) subject: String,
    /// Who says so.
    pub(super) issuer: String,
    /// When it ceases to hold.
    pub(super) until: DateTime<Utc>,
}

/// Shakes hands as the exporter would, offering these protocols, and notes the certificate on the way.
pub(super) async fn shake_hands(
    stream: TcpStream,
    host: &str,
    trust: Trust,
    protocols: &[&[u8]],
    deadline: Duration,
) -> Handshake {
    let recording = Arc::new(Recording { verifier: trust.verifier.clone(), seen: Mutex::default() });
    let failed = |error| Handshake { result: Err(HandshakeError::Tls(error)), certificate: None };
    let config = match trust.config(protocols, recording.clone()) {
        Ok(config) => config,
        Err(error) => return failed(error),
    };
    let Ok(name) = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()) else {
        return failed(Error::General(format!("no certificate can be for {host}")));
    };
    let connected = timeout(deadline, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let certificate = recording.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    let result = match connected {
        Err(_) => Err(HandshakeError::Late),
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(HandshakeError::from(error)),
    };
    Handshake { result, certificate }
}

/// Whether anything at all speaks TLS there, whatever its certificate.
pub(super) async fn speaks_tls(stream: TcpStream, host: &str, deadline: Duration) -> bool {
    let handshake = shake_hands(stream, host, Trust::anybody(), &[], deadline).await;
    // An alert, such as one that asks for a client's certificate, is TLS too.
    matches!(handshake.result, Ok(_) | Err(HandshakeError::Tls(_)))
}

/// The one that the whole process uses, or the exporter's.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()))
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            // The first record is none: plain text, most often.
            Some(Error::InvalidMessage(_)) => Self::NoTls,
            Some(tls) => Self::Tls(tls.clone()),
            None => Self::Io(error),
        }
    }
}

/// Leaves the decision to another verifier, and keeps what it was asked about.
#[derive(Debug)]
struct Recording {
    verifier: Arc<dyn ServerCertVerifier>,
    seen: Mutex<Option<Certificate>>,
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Certificate::read(end_entity);
        self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// Takes every certificate: only to find out whether a port speaks TLS. Nothing is sent over its connections.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl Certificate {
    fn read(der: &[u8]) -> Option<Self> {
        let certificate = x509_cert::Certificate::from_der(der).ok()?.tbs_certificate;
        Some(Self {
            subject: name(&certificate.subject),
            issuer: name(&certificate.issuer),
            until: certificate.validity.not_after.to_system_time().into(),
        })
    }
}

/// A modern certificate may name nobody in its subject, only hosts.
fn name(name: &x509_cert::name::Name) -> String {
    let text = name.to_string();
    if text.is_empty() { "(no name)".to_owned() } else { text }
}
