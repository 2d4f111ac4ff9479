//! One address in front of the replicas of a service: each connection goes to the next one that takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running balancer. Dropping it stops it.
pub struct Balancer {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Balancer {
    /// Listens on a free port for the services on these ports.
    ///
    /// # Errors
    /// Where there is no free port.
    pub async fn start(backends: Vec<u16>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (backends, next): (Arc<[u16]>, _) = (backends.into(), Arc::new(AtomicUsize::new(0)));
        let accepting = spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (backends, first) = (backends.clone(), next.fetch_add(1, Ordering::Relaxed));
                drop(spawn(carry(client, backends, first)));
            }
        });
        Ok(Self { port, accepting })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut client: TcpStream, backends: Arc<[u16]>, first: usize) {
    for n in 0..backends.len() {
        let port = backends[(first + n) % backends.len()];
        if let Ok(mut service) = TcpStream::connect(("127.0.0.1", port)).await {
            let _ = copy_bidirectional(&mut client, &mut service).await;
            return;
        }
    }
}

/// There is no trace here that could be lost.
#[expect(clippy::disallowed_methods, reason = "this process makes no telemetry")]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    tokio::spawn(future)
}
