//! HTTP/1.1 over a Unix socket or TCP, as little of it as tests need: one request a connection, written and
//! read here so that nothing stands between a test and the bytes.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, without the framing.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header, where it is there.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.iter();
        let mut found = headers.filter(|(other, _)| other == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Panics unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Panics unless it is a problem (RFC 9457) of this status with all its fields and nothing else; gives
    /// what is wrong, pointer and code of each.
    #[track_caller]
    pub fn problem(self, status: u16) -> Vec<(String, String)> {
        let answer = self.expect(status);
        let kind = answer.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let problem = answer.json();
        let fields = |value: &Value| -> Vec<String> {
            let fields = value.as_object().expect("an object");
            fields.keys().cloned().collect()
        };
        let names = ["detail", "errors", "status", "title", "type"];
        assert_eq!(fields(&problem), names, "{problem}");
        assert_eq!(problem["type"], "about:blank", "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        assert!(
            is_text(&problem["title"]) && is_text(&problem["detail"]),
            "{problem}"
        );
        let errors = problem["errors"].as_array().expect("a list");
        assert!(!errors.is_empty(), "{problem}");
        let errors = errors.iter().map(|error| {
            // The members of a reason stand beside it.
            if error.get("reason").is_none() {
                assert_eq!(fields(error), ["code", "detail", "pointer"], "{problem}");
            }
            assert!(
                error.get("reason").is_none_or(is_text) && error["pointer"].is_string(),
                "{problem}"
            );
            assert!(
                is_text(&error["code"]) && is_text(&error["detail"]),
                "{problem}"
            );
            let text = |name: &str| error[name].as_str().expect("text").to_owned();
            (text("pointer"), text("code"))
        });
        errors.collect()
    }
}

/// Asks and waits for the whole answer.
///
/// # Errors
/// The connection fails, or what comes is no whole answer.
pub fn ask(
    socket: &Path,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    ask_on(&mut stream, method, target, headers, body)
}

/// The same over TCP, from the network namespace of this thread.
///
/// # Errors
/// As [`ask`].
pub fn ask_tcp(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    stream.set_write_timeout(Some(REQUEST_TIMEOUT))?;
    ask_on(&mut stream, method, target, headers, body)
}

fn ask_on(
    stream: &mut (impl Read + Write),
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())?;
    stream.write_all(body)?;
    read_answer(stream, method == "HEAD")
}

/// Reads an answer that ends with its connection.
///
/// # Errors
/// As [`ask`].
pub fn read(stream: &mut impl Read) -> io::Result<Answer> {
    read_answer(stream, false)
}

/// The same; the answer to HEAD tells the length of a body that does not come.
fn read_answer(stream: &mut impl Read, is_head: bool) -> io::Result<Answer> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer, is_head).ok_or_else(|| {
        let begin = &answer[..answer.len().min(200)];
        let message = format!("no whole answer: {}", String::from_utf8_lossy(begin));
        io::Error::new(io::ErrorKind::UnexpectedEof, message)
    })
}

fn parse(answer: &[u8], is_head: bool) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, body) = (
        std::str::from_utf8(&answer[..end]).ok()?,
        &answer[end + 4..],
    );
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    let mut answer = Answer {
        status,
        headers: headers.collect::<Option<_>>()?,
        body: Vec::new(),
    };
    if is_head {
        return body.is_empty().then_some(answer);
    }
    let length = answer.header("content-length");
    answer.body = match length.map(str::parse::<usize>) {
        Some(length) => (length.ok()? == body.len()).then(|| body.to_vec())?,
        None if answer.header("transfer-encoding") == Some("chunked") => unchunk(body)?,
        None => body.to_vec(),
    };
    Some(answer)
}

/// The data of RFC 9112, section 7.1.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let end = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(data);
        }
        data.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_either_framing() {
        let plain = parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false);
        let plain = plain.expect("whole");
        assert_eq!(
            (plain.status, plain.body.as_slice()),
            (200, b"ok".as_slice())
        );
        let chunked = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nab\r\n3;x\r\ncde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked, false).expect("whole").body, b"abcde");
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok", false).is_none());
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert!(parse(head, true).is_some_and(|answer| answer.body.is_empty()));
        assert!(parse(head, false).is_none());
    }
}
