//! The messages of one end: where each begins and ends.

use crate::{
    app::http::{Request, Response, is_basic},
    applications::{
        lines::{Line, Lines},
        protocol::{Guess, Peer, Step},
    },
};

/// What is known of the message that is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Message {
    /// Packet with the end of the first line.
    pub(super) number: u64,
    /// Of a response.
    pub(super) status: u16,
    /// Whether the response has no body, whatever it says.
    pub(super) is_head: bool,
    /// Of a request: whether a tunnel is asked for.
    pub(super) is_tunnel: bool,
    /// Whether a password is in it that can be read.
    pub(super) has_basic: bool,
    /// Whether a login is in it that a server may refuse for being wrong.
    pub(super) has_login: bool,
    len: Option<usize>,
    is_chunked: bool,
}

/// What comes next of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The first line of a message.
    #[default]
    Start,
    /// Headers.
    Headers,
    /// The line before a chunk.
    Chunk,
    /// What comes behind the last chunk.
    Trailer,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    place: Place,
    lines: Lines,
    message: Message,
}

/// What was seen.
pub(super) enum Seen<'b> {
    /// Nothing of interest.
    Nothing,
    /// The target of a request, or the value of a header.
    Text(&'b [u8]),
    /// The end of the head of a message, with so many bytes of its last line.
    Head(usize),
}

impl Half {
    /// The message whose head ended last.
    pub(super) fn message(&self) -> Message {
        self.message
    }

    /// Looks at the next bytes.
    pub(super) fn bytes<'b>(
        &mut self,
        from: Peer,
        bytes: &'b [u8],
        number: u64,
    ) -> (Seen<'b>, Step) {
        let (line, len) = match self.lines.first(bytes) {
            Line::Whole(line, len) => (line, len),
            Line::Open => return (Seen::Nothing, Step::More),
            Line::TooLong => return (Seen::Nothing, Step::Done),
        };
        let step = Step::Take(len);
        match self.place {
            Place::Start if line.is_empty() => (Seen::Nothing, step),
            Place::Start => match self.start(from, line, number) {
                Some(text) => (Seen::Text(text), step),
                None => (Seen::Nothing, Step::Done),
            },
            Place::Headers if line.is_empty() => (Seen::Head(len), step),
            Place::Headers => (self.header(line), step),
            Place::Chunk => (Seen::Nothing, self.chunk(line, len)),
            Place::Trailer => {
                if line.is_empty() {
                    self.place = Place::Start;
                }
                (Seen::Nothing, step)
            }
        }
    }

    fn start<'b>(&mut self, from: Peer, line: &'b [u8], number: u64) -> Option<&'b [u8]> {
        self.message = Message {
            number,
            ..Message::default()
        };
        self.place = Place::Headers;
        match from {
            Peer::Client => {
                let request = Request::new(line)?;
                self.message.is_head = request.method == b"HEAD";
                self.message.is_tunnel = request.method == b"CONNECT";
                Some(request.target)
            }
            Peer::Server => {
                let response = Response::new(line)?;
                self.message.status = response.status();
                Some(&[])
            }
        }
    }

    fn header<'b>(&mut self, line: &'b [u8]) -> Seen<'b> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Seen::Nothing;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is = |header: &str| name.eq_ignore_ascii_case(header.as_bytes());
        let message = &mut self.message;
        match () {
            () if is("Content-Length") => {
                let text = std::str::from_utf8(value).ok();
                message.len = text.and_then(|text| text.parse().ok());
            }
            () if is("Transfer-Encoding") => {
                let end = value.len().checked_sub(7).map(|start| &value[start..]);
                message.is_chunked = end.is_some_and(|end| end.eq_ignore_ascii_case(b"chunked"));
            }
            () if is("Authorization") || is("Proxy-Authorization") => {
                message.has_basic |= is_basic(value);
                let scheme = value.get(..7).unwrap_or_default();
                message.has_login |= message.has_basic || scheme.eq_ignore_ascii_case(b"Digest ");
            }
            () => return Seen::Text(value),
        }
        Seen::Nothing
    }

    /// Leaves the body out (RFC 9112 section 6), behind the last line of the head, which has `len` bytes.
    pub(super) fn body(&mut self, from: Peer, len: usize, is_empty: bool) -> Step {
        let message = self.message;
        self.place = Place::Start;
        match message.len {
            _ if is_empty => Step::Take(len),
            _ if message.is_chunked => {
                self.place = Place::Chunk;
                Step::Take(len)
            }
            Some(body) => Step::Take(len.saturating_add(body)),
            None if from == Peer::Client => Step::Take(len),
            // Up to the end of the connection.
            None => Step::Done,
        }
    }

    fn chunk(&mut self, line: &[u8], len: usize) -> Step {
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = &line[..digits.count()];
        let size = std::str::from_utf8(digits).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
        match size {
            Some(0) => {
                self.place = Place::Trailer;
                Step::Take(len)
            }
            // With the end of the line behind it.
            Some(size) => Step::Take(len.saturating_add(size).saturating_add(2)),
            None => Step::Done,
        }
    }
}

/// Whether bytes too few to tell may become a request.
pub(super) fn may_become_request(client: &[u8]) -> Guess {
    let is_letter = |byte: &u8| byte.is_ascii_uppercase();
    match client.len() < 10 && client.iter().all(is_letter) {
        true => Guess::Maybe,
        false => Guess::No,
    }
}
