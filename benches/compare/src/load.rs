//! Requests over kept connections.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// At a steady rate these take turns, so that an answer that is late does not hold up the next request.
const STEADY: u32 = 4;

/// Under full load each of these has a request under way at all times.
const FULL: usize = 32;

/// Sleeping overshoots by about half of this; the rest of the wait is spent looking at the clock.
const SLACK: Duration = Duration::from_micros(100);

/// What full load came to.
pub(crate) struct Full {
    pub(crate) requests: u64,
    pub(crate) took: Duration,
}

/// Sends so many requests a second, whoever is answered or not, and tells how long each answer took from the moment that
/// its request was due.
pub(crate) fn steady(port: u16, path: &str, rate: u32, time: Duration) -> io::Result<Vec<Duration>> {
    let interval = Duration::from_secs(1) / rate;
    let start = Instant::now() + Duration::from_millis(20);
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..STEADY)
            .map(|first| {
                scope.spawn(move || each_interval(port, path, start + interval * first, interval, time))
            })
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.join().expect("it does not panic")?);
        }
        Ok(all)
    })
}

fn each_interval(
    port: u16,
    path: &str,
    first: Instant,
    interval: Duration,
    time: Duration,
) -> io::Result<Vec<Duration>> {
    let mut connection = Connection::open(port, path)?;
    let mut latencies = Vec::new();
    let mut due = first;
    while due < first + time {
        wait_until(due);
        connection.ask()?;
        connection.answer()?;
        latencies.push(due.elapsed());
        due += interval * STEADY;
    }
    Ok(latencies)
}

fn wait_until(due: Instant) {
    if let Some(rest) = due.checked_duration_since(Instant::now() + SLACK) {
        std::thread::sleep(rest);
    }
    while Instant::now() < due {
        std::hint::spin_loop();
    }
}

/// Asks as fast as it is answered.
pub(crate) fn saturate(port: u16, path: &str, time: Duration) -> io::Result<Full> {
    let mut connections = Vec::new();
    for _ in 0..FULL {
        connections.push(Connection::open(port, path)?);
    }
    let start = Instant::now();
    for connection in &mut connections {
        connection.ask()?;
    }
    let mut requests = 0;
    while start.elapsed() < time {
        for connection in &mut connections {
            connection.answer()?;
            connection.ask()?;
            requests += 1;
        }
    }
    let took = start.elapsed();
    for connection in &mut connections {
        connection.answer()?;
    }
    Ok(Full { requests: requests + FULL as u64, took })
}

struct Connection {
    stream: TcpStream,
    /// The path before and after what changes, if anything does.
    path: (String, String),
    turn: u32,
    request: Vec<u8>,
    buffer: [u8; 4096],
}

impl Connection {
    fn open(port: u16, path: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let (before, after) = path.split_once("{id}").unwrap_or((path, ""));
        let is_fixed = before.len() == path.len();
        Ok(Self {
            stream,
            path: (before.to_owned(), after.to_owned()),
            turn: if is_fixed { 0 } else { 1000 },
            request: Vec::new(),
            buffer: [0; 4096],
        })
    }

    fn ask(&mut self) -> io::Result<()> {
        let (before, after) = &self.path;
        self.request.clear();
        write!(self.request, "GET {before}")?;
        if self.turn > 0 {
            // Many paths of one route, as services have them.
            write!(self.request, "{}", self.turn)?;
            self.turn = if self.turn == 1999 { 1000 } else { self.turn + 1 };
        }
        write!(
            self.request,
            "{after} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: compare/1.0\r\naccept: */*\r\n\r\n"
        )?;
        self.stream.write_all(&self.request)
    }

    /// Reads an answer, which must be 200 and tell its length.
    fn answer(&mut self) -> io::Result<()> {
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            match length(&self.buffer[..filled])? {
                Some(length) if filled == length => return Ok(()),
                Some(length) if filled > length => return Err(io::Error::other("more than was asked for")),
                _ => {}
            }
        }
    }
}

/// Of head and body, where all of the head is there.
fn length(message: &[u8]) -> io::Result<Option<usize>> {
    let Some(head) = message.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&message[..head]).map_err(io::Error::other)?;
    let mut lines = text.split("\r\n");
    if !lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 200 ")) {
        return Err(io::Error::other(text));
    }
    let body = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let body = body.ok_or_else(|| io::Error::other("an answer without a length"))?;
    Ok(Some(head + 4 + body.map_err(io::Error::other)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_as_long_as_it_says_and_must_be_a_good_one() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(length(answer).unwrap(), Some(answer.len()));
        assert_eq!(length(&answer[..20]).unwrap(), None);
        assert!(length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(length(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
