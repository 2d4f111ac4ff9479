//! The port of one's own at which a Prometheus server finds the metrics.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header::VARY;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use super::{Format, PullReader};
use crate::config::PrometheusServer;
use crate::exemplars::Exemplars;

/// Prometheus servers are few. Who holds more connections open than this gets no further ones.
const MOST_CONNECTIONS: usize = 32;

/// What is served.
struct Source {
    metrics: PullReader,
    exemplars: Exemplars,
}

/// A running server, on threads of its own: no request of the application waits for it.
pub(crate) struct Server {
    addresses: Vec<SocketAddr>,
    handle: ServerHandle,
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// Listens, and serves what `metrics` reads, with its exemplars where the format has them. Listening is done before it returns, so that a port that is taken
    /// is told to the caller.
    pub(crate) fn start(
        settings: &PrometheusServer,
        metrics: PullReader,
        exemplars: Exemplars,
    ) -> io::Result<Self> {
        let source = web::Data::new(Source { metrics, exemplars });
        let listeners = listen(&settings.host, settings.port)?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let (started, start) = mpsc::sync_channel(1);
        let (end, ended) = mpsc::channel();
        thread::Builder::new().name("telemetry-prometheus".to_owned()).spawn(move || {
            actix_rt::System::new().block_on(async move {
                match serve(listeners, source) {
                    Ok(server) => {
                        let _ = started.send(Ok(server.handle()));
                        // It ends when it is stopped; what else could end it is told by the failing scrapes.
                        let _ = server.await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            });
            drop(end);
        })?;
        let died = |_| io::Error::other("its thread ended at once");
        let handle = start.recv().map_err(died)??;
        Ok(Self { addresses, handle, ended })
    }

    /// Where it listens: a host may have several addresses.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Stops listening and closes what is open, at the latest after `deadline`.
    pub(crate) fn stop(&self, deadline: Duration) {
        // The command is sent at once; what it answers is that the workers are done, and so does the thread's end.
        drop(self.handle.stop(false));
        let _ = self.ended.recv_timeout(deadline);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// Every address of the host. One whose family this machine lacks is passed over where another does.
fn listen(host: &str, port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut absent = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => absent = Some(error),
        }
        if port == 0 && !listeners.is_empty() {
            // A free port of another address would be another port.
            break;
        }
    }
    if listeners.is_empty() {
        let unknown = || io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        return Err(absent.unwrap_or_else(unknown));
    }
    Ok(listeners)
}

fn serve(listeners: Vec<TcpListener>, source: web::Data<Source>) -> io::Result<actix_web::dev::Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(source.clone())
            .service(web::resource("/metrics").route(web::get().to(scrape)).route(web::head().to(scrape)))
    });
    let server = listeners.into_iter().try_fold(server, HttpServer::listen)?;
    Ok(server.workers(1).max_connections(MOST_CONNECTIONS).disable_signals().shutdown_timeout(1).run())
}

/// It collects on the worker's thread, which does nothing else.
async fn scrape(request: HttpRequest, source: web::Data<Source>) -> HttpResponse {
    let format = Format::accepted_by(&request);
    match source.metrics.scrape(format, &source.exemplars) {
        Some(text) => {
            let mut answer = HttpResponse::Ok();
            answer.content_type(format.content_type()).insert_header((VARY, "accept")).body(text)
        }
        None => HttpResponse::ServiceUnavailable().body("the telemetry of this process has ended\n"),
    }
}
