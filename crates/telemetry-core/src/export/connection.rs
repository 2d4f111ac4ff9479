//! The connection pool that all OTLP exporters share, on a thread of its own.
//!
//! The SDK's export threads are plain threads and reqwest needs a runtime, so this thread brings one. Because it
//! is apart from the application's, an export goes on while the application's only thread waits for shutdown.
//! Telemetry is suppressed on it: with `RUST_LOG=debug` the HTTP client's own log records would otherwise be
//! exported, which makes more of them, for ever.

use std::sync::mpsc;
use std::thread;

use opentelemetry::Context;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use super::ExportError;

/// A running HTTP client. Its thread ends with the last reference.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: reqwest::Client,
    pub(super) runtime: Handle,
    stop: watch::Sender<bool>,
}

impl Connection {
    /// Starts the thread. Only where `encrypted` are the machine's root certificates read: an image may have none.
    pub(super) fn open(encrypted: bool) -> Result<Self, ExportError> {
        install_crypto_provider();
        let (stop, mut stopped) = watch::channel(false);
        let (started, start) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("telemetry-export".to_owned())
            .spawn(move || {
                let runtime = match runtime() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(started.send(Err(ExportError::Thread(error)))),
                };
                let entered = runtime.enter();
                let _suppressed = Context::enter_telemetry_suppressed_scope();
                let client = client(encrypted).map_err(ExportError::Client);
                let ready = client.is_ok();
                let _ = started.send(client.map(|client| (client, runtime.handle().clone())));
                drop(entered);
                if ready {
                    // Until the connection is dropped; a cut alone ends requests, not the thread.
                    runtime.block_on(async { while stopped.changed().await.is_ok() {} });
                }
                runtime.shutdown_background();
            })
            .map_err(ExportError::Thread)?;
        let died = || ExportError::Thread(std::io::Error::other("the thread for exports ended at once"));
        let (client, runtime) = start.recv().map_err(|_| died())??;
        Ok(Self { client, runtime, stop })
    }

    /// Ends every request, those under way and those to come.
    pub(super) fn cut(&self) {
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

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .thread_name("telemetry-export")
        // The threads that resolve names live as long as their suppression.
        .on_thread_start(|| std::mem::forget(Context::enter_telemetry_suppressed_scope()))
        .build()
}

fn client(encrypted: bool) -> reqwest::Result<reqwest::Client> {
    // A collector that redirects is a wrong address; following would turn the POST into a GET.
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder.build()
}
