//! A collector that answers calls of gRPC as it is told.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::server::{self, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use prost::Message;
use tokio::sync::oneshot;

/// How a call is answered.
pub(super) enum GrpcAnswer {
    Accept,
    /// Accepted but for so many items, for this reason.
    Refuse(i64, &'static str),
    /// A code, a message (percent-encoded) and further metadata.
    Status(u32, &'static str, Vec<(&'static str, String)>),
    /// An answer of HTTP alone.
    Http(u16),
    /// Headers of a success and nothing after them.
    NoEnd,
    /// Headers of a success, and a connection that breaks before its end.
    Cut,
    /// Not at all, until the client gives up.
    Hang,
}

/// A call as it arrived, its message decompressed.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) time: Instant,
    headers: HeaderMap,
    message: Vec<u8>,
}

impl Call {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub(super) fn message<M: Message + Default>(&self) -> M {
        M::decode(&self.message[..]).expect("the message is an export")
    }
}

/// Listens on loopback until it is dropped.
pub(super) struct GrpcCollector {
    address: SocketAddr,
    seen: Arc<Seen>,
    _stop: oneshot::Sender<()>,
}

type Answers = dyn Fn(usize) -> GrpcAnswer + Send + Sync;

struct Seen {
    answer: Box<Answers>,
    calls: Mutex<Vec<Call>>,
    given_up: Mutex<usize>,
    changed: Condvar,
}

impl GrpcCollector {
    /// `answer` gets the number of calls before the one to answer.
    pub(super) fn start(answer: impl Fn(usize) -> GrpcAnswer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("the listener is bound");
        listener.set_nonblocking(true).expect("a socket can be so");
        let seen = Arc::new(Seen {
            answer: Box::new(answer),
            calls: Mutex::default(),
            given_up: Mutex::default(),
            changed: Condvar::new(),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shared = seen.clone();
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = shared.listen(listener) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, seen, _stop: stop }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.seen.calls.lock().expect("no panic").clone()
    }

    /// Waits until clients have given up so many calls that got no answer.
    pub(super) fn wait_until_given_up(&self, count: usize) {
        let given_up = self.seen.given_up.lock().expect("no panic");
        let limit = Duration::from_secs(10);
        let fewer = |given_up: &mut usize| *given_up < count;
        let (given_up, timeout) =
            self.seen.changed.wait_timeout_while(given_up, limit, fewer).expect("no panic");
        assert!(!timeout.timed_out(), "{} of {count} given up", *given_up);
    }
}

#[expect(clippy::disallowed_methods, reason = "a collector belongs to no trace")]
impl Seen {
    async fn listen(self: Arc<Self>, listener: tokio::net::TcpListener) {
        loop {
            let (socket, _) = listener.accept().await.expect("loopback connects");
            let seen = self.clone();
            tokio::spawn(async move {
                let Ok(mut connection) = server::handshake(socket).await else { return };
                let (cut, mut is_cut) = tokio::sync::mpsc::channel::<()>(1);
                loop {
                    tokio::select! {
                        call = connection.accept() => {
                            let Some(Ok((request, respond))) = call else { return };
                            tokio::spawn(seen.clone().serve(request, respond, cut.clone()));
                        }
                        _ = is_cut.recv() => return,
                    }
                }
            });
        }
    }

    async fn serve(
        self: Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
        cut: tokio::sync::mpsc::Sender<()>,
    ) {
        let (head, mut body) = request.into_parts();
        let mut frame = BytesMut::new();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            frame.extend_from_slice(&data);
        }
        let length = u32::from_be_bytes(frame[1..5].try_into().expect("four bytes")) as usize;
        assert_eq!(length, frame.len() - 5, "one message");
        let message = if frame[0] == 1 {
            assert_eq!(head.headers["grpc-encoding"], "gzip");
            let mut plain = Vec::new();
            let mut gzip = flate2::read::GzDecoder::new(&frame[5..]);
            std::io::Read::read_to_end(&mut gzip, &mut plain).expect("the message is gzip");
            plain
        } else {
            frame[5..].to_vec()
        };
        let call =
            Call { path: head.uri.path().to_owned(), time: Instant::now(), headers: head.headers, message };
        let earlier = {
            let mut calls = self.calls.lock().expect("no panic");
            calls.push(call);
            calls.len() - 1
        };
        let head =
            |status: u16| Response::builder().status(status).header("content-type", "application/grpc");
        let ok =
            HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))]);
        match (self.answer)(earlier) {
            GrpcAnswer::Accept => {
                let mut stream =
                    respond.send_response(head(200).body(()).expect("a head"), false).expect("open");
                let _ = stream.send_data(Bytes::from_static(&[0; 5]), false);
                let _ = stream.send_trailers(ok);
            }
            GrpcAnswer::Refuse(rejected, message) => {
                let mut stream =
                    respond.send_response(head(200).body(()).expect("a head"), false).expect("open");
                let partial = super::collector::partial(rejected, message);
                let mut frame = vec![0];
                frame.extend_from_slice(&u32::try_from(partial.len()).expect("it is short").to_be_bytes());
                frame.extend_from_slice(&partial);
                let _ = stream.send_data(frame.into(), false);
                let _ = stream.send_trailers(ok);
            }
            GrpcAnswer::Status(code, message, metadata) => {
                let mut head = head(200).header("grpc-status", code).header("grpc-message", message);
                for (name, value) in metadata {
                    head = head.header(name, value);
                }
                let _ = respond.send_response(head.body(()).expect("a head"), true);
            }
            GrpcAnswer::Http(status) => {
                let head = Response::builder().status(status).header("content-type", "text/html");
                let _ = respond.send_response(head.body(()).expect("a head"), true);
            }
            GrpcAnswer::NoEnd => {
                let _ = respond.send_response(head(200).body(()).expect("a head"), true);
            }
            GrpcAnswer::Cut => {
                let _stream =
                    respond.send_response(head(200).body(()).expect("a head"), false).expect("open");
                let _ = cut.send(()).await;
            }
            GrpcAnswer::Hang => {
                let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                assert!(matches!(reset, Ok(Reason::CANCEL) | Err(_)), "{reset:?}");
                *self.given_up.lock().expect("no panic") += 1;
                self.changed.notify_all();
            }
        }
    }
}
