//! The listening socket, and the last connections that reach it.
//!
//! Between the moment a server stops accepting and the moment its socket is closed, the kernel goes on
//! taking connections, and closing the socket resets them. So a second handle on the socket stays here:
//! it takes those connections and tells them to try again, which is safe whatever they ask.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::json;
use telemetry_core::context;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::problem::{self, code};

/// Connections that wait to be accepted: a burst of them while all workers are busy for a moment.
const BACKLOG: u32 = 1024;

/// How long a refused client may take to send its request and to read the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Binds the address for the server, and keeps the second handle.
pub(super) fn bind(address: SocketAddr) -> io::Result<(TcpListener, LastCalls)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The previous process's connections may still be in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let last_calls = LastCalls { listener: listener.try_clone()? };
    Ok((listener, last_calls))
}

/// The second handle on the listening socket. While it is there, the socket stays open.
pub(super) struct LastCalls {
    listener: TcpListener,
}

impl LastCalls {
    /// Takes the connections that nobody else took for as long as `while_waiting` runs, closes the
    /// socket, and refuses each of them in so many words.
    pub(super) async fn refuse(self, while_waiting: Duration) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let mut refusals = Vec::new();
        let mut take = |stream| refusals.push(context::spawn(refuse(stream)));
        let closing = tokio::time::sleep(while_waiting);
        let mut closing = std::pin::pin!(closing);
        loop {
            tokio::select! {
                () = &mut closing => break,
                accepted = listener.accept() => take(accepted?.0),
            }
        }
        while let Some(Ok((stream, _))) = listener.accept().now_or_never() {
            take(stream);
        }
        drop(listener);
        join_all(refusals).await;
        Ok(())
    }
}

async fn refuse(mut stream: TcpStream) {
    // A client that does not keep to the time, or is gone, has refused itself.
    let _ = tokio::time::timeout(PATIENCE, async {
        // Closing a connection with something unread in it would reset it, and the answer with it.
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") && stream.read_buf(&mut head).await? > 0 {}
        stream.write_all(refusal().as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        io::Result::Ok(())
    })
    .await;
}

fn refusal() -> String {
    let body = json!({
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "This process is going down.",
        "code": code::SHUTTING_DOWN,
    })
    .to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
         Retry-After: 1\r\nConnection: close\r\n\r\n{body}",
        problem::MEDIA_TYPE,
        body.len(),
    )
}
