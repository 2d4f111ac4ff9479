//! A gateway that answers what a test says, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Answers charges with the script and confirms every void.
pub(crate) struct ScriptedGateway {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl ScriptedGateway {
    /// `answer` is written as it is, and then the connection is closed.
    pub(crate) async fn start(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (answer.into(), requests.clone());
        telemetry_core::context::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &answer, &log).await;
            }
        });
        Self { port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every request so far: head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, answer: &[u8], log: &Mutex<Vec<String>>) {
    let request = read_request(&mut stream).await;
    let is_void = request.lines().next().is_some_and(|line| line.contains("/void "));
    log.lock().unwrap().push(request);
    let voided = json_answer("200 OK", r#"{"status":"voided"}"#);
    // The service may have gone.
    let _ = stream.write_all(if is_void { voided.as_bytes() } else { answer }).await;
    let _ = stream.shutdown().await;
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return text.into_owned(),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// A whole answer with this status line and JSON.
pub(crate) fn json_answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
