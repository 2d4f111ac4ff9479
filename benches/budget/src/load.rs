//! Requests over one kept connection, one after the other.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

/// Sends so many requests; each must be answered with 200.
pub(crate) fn send(port: u16, path: &str, requests: u32) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for turn in 0..requests {
        // Many paths of one route, as services have them.
        let path = path.replace("{id}", &(1000 + turn % 1000).to_string());
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

/// Head and body of a message that tells its length.
pub(crate) fn read_message(reader: &mut impl BufRead) -> io::Result<(String, Vec<u8>)> {
    let mut head = String::new();
    let mut length = 0;
    loop {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = head[start..].trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}
