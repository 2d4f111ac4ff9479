//! What stands between two processes of the system, and holds or cuts the requests that a test wants held or cut.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use telemetry_core::context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A proxy on a port of its own. Its callers wait until it is told where to lead them.
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on.
    Pass,
    /// It waits for another fate.
    Hold,
    /// Its connection breaks.
    Cut,
}

struct Shared {
    target: OnceLock<SocketAddr>,
    /// Of requests whose head has this in it.
    fate: Mutex<(&'static str, Fate)>,
}

impl Proxy {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared { target: OnceLock::new(), fate: Mutex::new(("", Fate::Pass)) });
        let kept = shared.clone();
        context::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                context::spawn(pass(caller, kept.clone()));
            }
        });
        Self { url, shared }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Leads callers there, those that wait too.
    pub(crate) fn lead_to(&self, url: &str) {
        let url = reqwest::Url::parse(url).expect("a URL");
        let target = url.socket_addrs(|| None).expect("an address")[0];
        self.shared.target.set(target).expect("it leads nowhere yet");
    }

    /// From now on this is the fate of each request whose head has `what` in it; all others pass.
    pub(crate) fn on(&self, what: &'static str, fate: Fate) {
        *self.shared.fate.lock().unwrap_or_else(PoisonError::into_inner) = (what, fate);
    }
}

impl Shared {
    fn fate(&self, bytes: &[u8]) -> Fate {
        let (what, fate) = *self.fate.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = fate != Fate::Pass && bytes.windows(what.len()).any(|part| part == what.as_bytes());
        if is_meant { fate } else { Fate::Pass }
    }
}

/// Until one of the two closes the connection, or it is cut.
async fn pass(mut caller: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let target = loop {
        match shared.target.get() {
            Some(target) => break *target,
            None => sleep(Duration::from_millis(10)).await,
        }
    };
    let mut service = TcpStream::connect(target).await?;
    let (mut from_caller, mut to_caller) = caller.split();
    let (mut from_service, mut to_service) = service.split();
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_caller.read(&mut buffer).await?;
            let fate = loop {
                match shared.fate(&buffer[..read]) {
                    Fate::Hold => sleep(Duration::from_millis(10)).await,
                    fate => break fate,
                }
            };
            if read == 0 || fate == Fate::Cut {
                return io::Result::Ok(());
            }
            to_service.write_all(&buffer[..read]).await?;
        }
    };
    tokio::select! {
        done = forth => done,
        done = tokio::io::copy(&mut from_service, &mut to_caller) => done.map(drop),
    }
}
