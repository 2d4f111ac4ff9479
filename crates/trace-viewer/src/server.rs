use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::thread;

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use futures_util::future::{Either, join, select};

use tokio::sync::watch;

use crate::live::Live;
use crate::otlp::Receiver;
use crate::site::Hosts;
use crate::{Limits, Store, api, otlp, page};

/// Connections open at a time, far more than a handful of services and a browser keep; each may
/// hold a body that is arriving.
const CONNECTIONS: usize = 256;

/// How long requests in flight may take when the viewer stops, in seconds: none takes long.
const DRAIN_SECONDS: u64 = 2;

/// Where to listen and what to keep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:8090`: who can connect can
    /// read everything, so other machines cannot unless asked for.
    pub address: SocketAddr,
    /// A further address for the same, such as the 4318 that OTLP/HTTP goes to by default. Default none.
    pub http: Option<SocketAddr>,
    /// Where to take OTLP/gRPC, such as 4317. Default nowhere.
    pub grpc: Option<SocketAddr>,
    /// Names under which listeners on loopback may be asked for, beside `localhost` and loopback addresses: a
    /// browser that asks for another is under the spell of DNS rebinding, and is refused. Listeners
    /// elsewhere take any name. Default none.
    pub hosts: Hosts,
    /// What to keep and take at most.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8090));
        Self { address, http: None, grpc: None, hosts: Hosts::default(), limits: Limits::default() }
    }
}

/// A viewer that listens and does not answer yet.
#[derive(Debug)]
pub struct Viewer {
    listener: TcpListener,
    address: SocketAddr,
    http: Option<TcpListener>,
    grpc: Option<TcpListener>,
    hosts: Hosts,
    store: Arc<Store>,
}

impl Viewer {
    /// Takes the addresses. From here on connections wait instead of being refused.
    ///
    /// # Errors
    /// An address is taken or not of this machine; the error names it.
    pub fn bind(options: Options) -> io::Result<Self> {
        let listener = listen(options.address)?;
        let address = listener.local_addr()?;
        let http = options.http.map(listen).transpose()?;
        let grpc = options.grpc.map(listen).transpose()?;
        let store = Arc::new(Store::new(options.limits));
        Ok(Self { listener, address, http, grpc, hosts: options.hosts, store })
    }

    /// The further address for OTLP/HTTP, where there is one.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where it takes OTLP/gRPC, if it does.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL to send OTLP to and to read from: `http://127.0.0.1:8090`, without a slash at
    /// the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds, for readers in the same process.
    pub fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    /// Serves until `stop` is done, then finishes what is in flight. Signals are the caller's.
    /// Runs on any tokio runtime; the one worker is a thread of its own.
    ///
    /// # Errors
    /// The listener fails.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let (stopping, stop_following) = watch::channel(false);
        let (handle, serving) = self.serve(stop_following)?;
        match select(pin!(stop), pin!(serving)).await {
            Either::Left((_, serving)) => {
                stopping.send_replace(true);
                join(handle.stop(true), serving).await.1
            }
            Either::Right((ended, _)) => ended,
        }
    }

    /// Serves on a thread of its own until the answer is stopped or dropped.
    ///
    /// # Errors
    /// The thread cannot be started, or the listener fails.
    pub fn start(self) -> io::Result<Running> {
        let (address, store) = (self.address, self.store());
        let (started, start) = mpsc::channel();
        let (stopping, stop_following) = watch::channel(false);
        let thread = thread::Builder::new().name("trace-viewer".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                match self.serve(stop_following) {
                    Ok((handle, serving)) => {
                        // The other side waits for this message, so it is there to take it.
                        let _ = started.send(Ok(handle));
                        serving.await
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                        Ok(())
                    }
                }
            })
        })?;
        let handle =
            start.recv().map_err(|_| io::Error::other("the viewer's thread ended at its start"))??;
        Ok(Running { address, store, stopping, handle, thread: Some(thread) })
    }

    /// What serves, and what stops it together with `stopping`, which ends what would go on for ever.
    fn serve(
        self,
        stopping: watch::Receiver<bool>,
    ) -> io::Result<(ServerHandle, impl Future<Output = io::Result<()>>)> {
        let store = web::Data::from(Arc::clone(&self.store));
        let receiver = web::Data::new(Receiver::new(Arc::clone(&self.store)));
        let live = web::Data::new(Live::new(stopping.clone()));
        let hosts = self.hosts;
        let mut server = HttpServer::new(move || {
            let hosts = hosts.clone();
            App::new()
                .wrap(from_fn(move |request, next| hosts.clone().check(request, next)))
                .app_data(store.clone())
                .app_data(receiver.clone())
                .app_data(live.clone())
                .configure(otlp::routes)
                .configure(page::routes)
                .configure(api::routes)
        })
        .workers(1)
        .max_connections(CONNECTIONS)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .listen(self.listener)?;
        if let Some(listener) = self.http {
            server = server.listen(listener)?;
        }
        let grpc = self.grpc.map(to_tokio).transpose()?;
        let server = server.run();
        let handle = server.handle();
        let serving = async move {
            let Some(grpc) = grpc else { return server.await };
            let mut stopping = stopping;
            let grpc = otlp::serve_grpc(grpc, self.store, async move {
                // Where the sender is gone, so is whoever could stop this.
                let _ = stopping.wait_for(|stopping| *stopping).await;
            });
            let (http, grpc) = join(server, grpc).await;
            http.and(grpc)
        };
        Ok((handle, serving))
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

fn to_tokio(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Binds and serves until `stop` is done. [`Viewer::bind`] is the way to learn the port first.
///
/// # Errors
/// The address cannot be taken, or the listener fails.
pub async fn serve(options: Options, stop: impl Future<Output = ()>) -> io::Result<()> {
    Viewer::bind(options)?.run_until(stop).await
}

/// A viewer that serves on a thread of its own. Dropping it stops it too.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    store: Arc<Store>,
    stopping: watch::Sender<bool>,
    handle: ServerHandle,
    thread: Option<thread::JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it holds.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Finishes what is in flight, at most two seconds long, and ends the thread. Blocks.
    ///
    /// # Errors
    /// Serving failed, then or earlier.
    pub fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.stopping.send_replace(true);
        // The command is sent by the call; its future only waits for the end, as `join` does.
        drop(self.handle.stop(true));
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the viewer's thread panicked")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = self.end();
    }
}
