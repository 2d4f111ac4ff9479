//! Requests over one kept connection, one after the other.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use sink::read_message;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// One path.
    Path(&'static str),
    /// One route, a thousand paths of it.
    Item,
    /// So many routes in turn.
    Routes(u32),
}

impl Target {
    fn path(self, turn: u32) -> String {
        match self {
            Self::Path(path) => path.to_owned(),
            Self::Item => format!("/items/{}", 1000 + turn % 1000),
            Self::Routes(routes) => format!("/{}/{}", turn % routes / 100, turn % routes % 100),
        }
    }

    /// So many requests until each route has been asked for once: what is done then is not done again.
    pub(crate) fn warm_up(self) -> u32 {
        if let Self::Routes(routes) = self { routes } else { 0 }
    }
}

/// Sends so many requests; each must be answered with 200.
pub(crate) fn send(port: u16, target: Target, requests: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for turn in 0..requests {
        let path = target.path(turn);
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nuser-agent: budget/1.0\r\naccept: */*\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let (head, _) = read_message(&mut reader)?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(head));
        }
    }
    Ok(())
}
