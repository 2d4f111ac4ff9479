//! The thread on which all OTLP exports are made, and the connections that they share.
//!
//! The SDK's export threads are plain threads and the HTTP client needs a runtime, so this thread brings one. Because
//! it is apart from the application's, an export goes on while the application's only thread waits for shutdown.
//! Telemetry is suppressed on it: with `RUST_LOG=debug` the HTTP client's own log records would otherwise be
//! exported, which makes more of them, for ever.

use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::config::{Otlp, Protocol, Tls};

/// A connection whose peer acknowledges nothing for so long is broken. HTTP/2 would go on using it.
#[cfg(target_os = "linux")]
const LONGEST_SILENCE: Duration = Duration::from_secs(20);

/// A running thread. It ends with the last reference.
#[derive(Debug)]
pub(in crate::export) struct Connection {
    runtime: Handle,
    stop: watch::Sender<bool>,
    clients: Mutex<Vec<(Kind, Client)>>,
}

/// What makes the clients of two signals different; where nothing does, they share one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kind {
    is_grpc: bool,
    is_encrypted: bool,
    tls: Tls,
}

impl Connection {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where there is no thread or no runtime to be had.
    pub(in crate::export) fn open() -> std::io::Result<Self> {
        install_crypto_provider();
        let (stop, mut stopped) = watch::channel(false);
        let (started, start) = mpsc::sync_channel(1);
        thread::Builder::new().name("telemetry-export".to_owned()).spawn(move || {
            let runtime = match runtime() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let _ = started.send(Ok(runtime.handle().clone()));
            // Until the connection is dropped; a cut alone ends requests, not the thread.
            runtime.block_on(async { while stopped.changed().await.is_ok() {} });
            runtime.shutdown_background();
        })?;
        let died = |_| std::io::Error::other("the thread for exports ended at once");
        let runtime = start.recv().map_err(died)??;
        Ok(Self { runtime, stop, clients: Mutex::default() })
    }

    pub(in crate::export) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A client for this way to the collector. The machine's root certificates are read only where they are needed: an
    /// image may have none.
    pub(super) fn client(&self, otlp: &Otlp) -> reqwest::Result<Client> {
        let is_encrypted = otlp.endpoint.is_https();
        let tls = if is_encrypted { otlp.tls.clone() } else { Tls::default() };
        let kind = Kind { is_grpc: otlp.protocol == Protocol::Grpc, is_encrypted, tls };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == kind) {
            return Ok(client.clone());
        }
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let client = client(&kind)?;
        clients.push((kind, client.clone()));
        Ok(client)
    }

    /// Ends every request, those under way and those to come.
    pub(in crate::export) fn cut(&self) {
        self.stop.send_replace(true);
    }

    /// Becomes true when the connection is cut.
    pub(super) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

/// Makes ring the process's cryptography for TLS, unless there is one already.
pub(crate) fn install_crypto_provider() {
    // The error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("telemetry-export")
        // The threads that resolve names live as long as their suppression.
        .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
        .build()
}

fn client(kind: &Kind) -> reqwest::Result<Client> {
    // A collector that redirects is a wrong address; following would turn the POST into a GET.
    let mut builder = Client::builder().redirect(Policy::none());
    #[cfg(target_os = "linux")]
    {
        builder = builder.tcp_user_timeout(LONGEST_SILENCE);
    }
    if kind.is_grpc {
        builder = builder.http2_prior_knowledge();
        if !kind.is_encrypted {
            // A proxy for plain HTTP does not speak HTTP/2.
            builder = builder.no_proxy();
        }
    }
    builder = match kind.tls.roots() {
        _ if !kind.is_encrypted => builder.tls_certs_only([]),
        Some(roots) => builder.tls_certs_only(Certificate::from_pem_bundle(roots)?),
        None => builder,
    };
    if let Some(identity) = kind.tls.identity() {
        builder = builder.identity(Identity::from_pem(&identity)?);
    }
    builder.build()
}
