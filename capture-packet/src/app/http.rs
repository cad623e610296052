//! HTTP/1 (RFC 9112): the start line and the headers of a message. HTTP/2 is within TLS nearly everywhere.

/// Most headers of a message that are looked at.
const MOST_HEADERS: usize = 100;

/// Methods with which a request begins (RFC 9110 section 9, RFC 5789, RFC 4918).
const METHODS: [&[u8]; 16] = [
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"CONNECT",
    b"OPTIONS",
    b"TRACE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
];

/// A request, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Method.
    pub method: &'a [u8],
    /// Target of the request: a path, or with a proxy a whole URI.
    pub target: &'a [u8],
    /// `HTTP/1.1`; empty where the bytes end within the target.
    pub version: &'a [u8],
    /// Headers.
    pub headers: Headers<'a>,
}

/// A response, as far as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// `HTTP/1.1`.
    pub version: &'a [u8],
    /// Status code.
    pub code: &'a [u8],
    /// What the server calls it.
    pub phrase: &'a [u8],
    /// Headers.
    pub headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// The request that these bytes begin with.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let letters = bytes.iter().take(10);
        let len = letters.take_while(|byte| byte.is_ascii_uppercase()).count();
        let (method, rest) = bytes.split_at(len);
        if rest.first() != Some(&b' ') || !METHODS.contains(&method) {
            return None;
        }
        let (line, behind) = split_line(&rest[1..]);
        let (target, version) = match line.iter().rposition(|byte| *byte == b' ') {
            Some(at) if line[at + 1..].starts_with(b"HTTP/1.") => (&line[..at], &line[at + 1..]),
            _ if behind.is_none() => (line, &line[line.len()..]),
            _ => return None,
        };
        let is_target = matches!(target.first(), Some(b'/' | b'*'))
            || method == b"CONNECT"
            || target.starts_with(b"http");
        is_target.then_some(Self {
            method,
            target,
            version,
            headers: Headers(behind.unwrap_or_default()),
        })
    }
}

impl<'a> Response<'a> {
    /// The response that these bytes begin with.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let is_start = bytes.starts_with(b"HTTP/1.") && bytes.get(8) == Some(&b' ');
        let code = bytes.get(9..12).filter(|_| is_start)?;
        if !code.iter().all(u8::is_ascii_digit) || !matches!(code[0], b'1'..=b'5') {
            return None;
        }
        let (phrase, behind) = split_line(&bytes[12..]);
        Some(Self {
            version: &bytes[..8],
            code,
            phrase: phrase.strip_prefix(b" ").unwrap_or(phrase),
            headers: Headers(behind.unwrap_or_default()),
        })
    }

    /// Status code as a number, 100 to 599.
    pub fn status(&self) -> u16 {
        let digits = self.code.iter().map(|digit| u16::from(digit - b'0'));
        digits.fold(0, |code, digit| code * 10 + digit)
    }
}

/// Headers up to the empty line, or up to the last that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// Names and values, without the blanks around them.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = Some(self.0);
        let lines = std::iter::from_fn(move || {
            let (line, behind) = split_line(rest?);
            rest = behind;
            (behind.is_some() && !line.is_empty()).then_some(line)
        });
        lines.take(MOST_HEADERS).filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        })
    }

    /// The value of the first header of this name.
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        let mut headers = self.iter();
        let found = headers.find(|(there, _)| there.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value)
    }

    /// Whether a name and a password are in it, for the server or for a proxy (RFC 7617).
    pub fn has_basic(self) -> bool {
        let mut headers = self.iter();
        headers.any(|(name, value)| {
            (name.eq_ignore_ascii_case(b"Authorization")
                || name.eq_ignore_ascii_case(b"Proxy-Authorization"))
                && is_basic(value)
        })
    }
}

/// Whether the value of a header of authorization has a password in it (RFC 7617 section 2).
pub fn is_basic(value: &[u8]) -> bool {
    let Some((scheme, credentials)) = value.split_at_checked(6) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Basic ") && !credentials.trim_ascii().is_empty()
}

/// A line without its end, and what lies behind it; `None` where the line has no end.
fn split_line(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => {
            let line = &bytes[..at];
            (
                line.strip_suffix(b"\r").unwrap_or(line),
                Some(&bytes[at + 1..]),
            )
        }
        None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read() {
        let bytes =
            b"GET /a?b=c d HTTP/1.1\r\nHost: example.org\r\nAUTHORIZATION:  basic dTpw\r\nCut: o";
        let request = Request::new(bytes).expect("a request");
        assert_eq!(
            (request.method, request.target, request.version),
            (&b"GET"[..], &b"/a?b=c d"[..], &b"HTTP/1.1"[..])
        );
        assert_eq!(request.headers.get("host"), Some(&b"example.org"[..]));
        assert_eq!(request.headers.get("cut"), None);
        assert!(request.headers.has_basic());
        let cut = Request::new(b"POST http://a/long").expect("a request");
        assert_eq!((cut.target, cut.version), (&b"http://a/long"[..], &b""[..]));
    }

    #[test]
    fn a_response_is_read() {
        let bytes = b"HTTP/1.0 404 Not Found\nServer: x\n\nBody: no header\n";
        let response = Response::new(bytes).expect("a response");
        assert_eq!(
            (response.status(), response.phrase),
            (404, &b"Not Found"[..])
        );
        assert_eq!(response.headers.get("server"), Some(&b"x"[..]));
        assert_eq!(response.headers.get("body"), None);
    }

    #[test]
    fn others_are_not_http() {
        for bytes in [
            &b"GETTING / HTTP/1.1\r\n"[..],
            b"GET / SIP/2.0\r\n",
            b"GET example HTTP/1.1\r\n",
            b"OPTIONS sip:a RTSP/1.0\r\n",
            b"get / HTTP/1.1\r\n",
            b"GET",
            b"",
        ] {
            assert_eq!(Request::new(bytes), None);
        }
        for bytes in [
            &b"HTTP/2 200\r\n"[..],
            b"HTTP/1.1 20x\r\n",
            b"HTTP/1.1 999",
            b"HTTP/1.1 2",
        ] {
            assert_eq!(Response::new(bytes), None);
        }
        let request = |value: &str| format!("GET / HTTP/1.1\r\nAuthorization: {value}\r\n\r\n");
        for value in ["Basic", "Basic  ", "Bearer dTpw", "Digest username=\"a\""] {
            let bytes = request(value);
            let request = Request::new(bytes.as_bytes()).expect("a request");
            assert!(!request.headers.has_basic(), "{value}");
        }
    }
}
