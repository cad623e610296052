//! Application protocols within TCP, as far as one segment shows them.

use super::{
    field::Value,
    table,
    walk::{Walk, number},
};
use crate::{
    app::{http, ldap, smb, ssh},
    text::escaped,
};

/// Most characters of a text that are shown.
const MOST_TEXT: usize = 1024;

/// Most headers and lines of a segment that are shown.
const MOST_LINES: usize = 100;

/// Headers of HTTP that have a field of their own.
const HEADERS: [(&str, &str); 16] = [
    ("Host", "http.host"),
    ("User-Agent", "http.user_agent"),
    ("Authorization", "http.authorization"),
    ("Proxy-Authorization", "http.proxy_authorization"),
    ("WWW-Authenticate", "http.www_authenticate"),
    ("Referer", "http.referer"),
    ("Cookie", "http.cookie"),
    ("Set-Cookie", "http.set_cookie"),
    ("Server", "http.server"),
    ("Location", "http.location"),
    ("Content-Type", "http.content_type"),
    ("Content-Length", "http.content_length_header"),
    ("Transfer-Encoding", "http.transfer_encoding"),
    ("Connection", "http.connection"),
    ("Accept", "http.accept"),
    ("Date", "http.date"),
];

/// A protocol whose lines have a command and what comes with it, or a code of the server and what comes with it.
struct Lines {
    name: &'static str,
    title: &'static str,
    request: [&'static str; 2],
    response: [&'static str; 2],
}

const FTP: Lines = Lines {
    name: "ftp",
    title: "File Transfer Protocol (FTP)",
    request: ["ftp.request.command", "ftp.request.arg"],
    response: ["ftp.response.code", "ftp.response.arg"],
};

const SMTP: Lines = Lines {
    name: "smtp",
    title: "Simple Mail Transfer Protocol",
    request: ["smtp.req.command", "smtp.req.parameter"],
    response: ["smtp.response.code", "smtp.rsp.parameter"],
};

const POP: Lines = Lines {
    name: "pop",
    title: "Post Office Protocol",
    request: ["pop.request.command", "pop.request.parameter"],
    response: ["pop.response.indicator", "pop.response.description"],
};

const IMAP: Lines = Lines {
    name: "imap",
    title: "Internet Message Access Protocol",
    request: ["imap.request_tag", "imap.request.command"],
    response: ["imap.response_tag", "imap.response.status"],
};

impl Walk<'_> {
    /// What a segment carries, by its content or by its ports. False where that is nothing that is known.
    pub(super) fn stream(&mut self, source: u16, destination: u16) -> bool {
        self.http()
            || self.ssh()
            || self.tls()
            || match (source, destination) {
                (21, _) | (_, 21) => self.lines(&FTP, source == 21),
                (25 | 587, _) | (_, 25 | 587) => self.lines(&SMTP, matches!(source, 25 | 587)),
                (110, _) | (_, 110) => self.lines(&POP, source == 110),
                (143, _) | (_, 143) => self.lines(&IMAP, source == 143),
                (139 | 445, _) | (_, 139 | 445) => self.smb(),
                (ldap::PORT, _) | (_, ldap::PORT) => self.ldap(),
                _ => false,
            }
    }

    /// Adds a field of text, a part of the frame.
    fn text(&mut self, name: &'static str, bytes: &[u8]) {
        let at = self.place(bytes);
        let text = Value::Text(escaped(bytes, MOST_TEXT).to_string());
        self.add(name, text, at, bytes.len());
    }

    /// Where a part of the frame begins.
    fn place(&self, part: &[u8]) -> usize {
        part.as_ptr() as usize - self.frame.as_ptr() as usize
    }

    fn http(&mut self) -> bool {
        let bytes = self.rest().1;
        let headers = if let Some(request) = http::Request::new(bytes) {
            self.layer("http", "Hypertext Transfer Protocol", bytes.len(), &[]);
            self.text("http.request.method", request.method);
            self.text("http.request.uri", request.target);
            if !request.version.is_empty() {
                self.text("http.request.version", request.version);
            }
            request.headers
        } else if let Some(response) = http::Response::new(bytes) {
            self.layer("http", "Hypertext Transfer Protocol", bytes.len(), &[]);
            self.text("http.response.version", response.version);
            let (at, code) = (self.place(response.code), response.status().into());
            self.add("http.response.code", Value::Number(code), at, 3);
            if !response.phrase.is_empty() {
                self.text("http.response.phrase", response.phrase);
            }
            response.headers
        } else {
            return false;
        };
        for (name, value) in headers.iter() {
            let mut known = HEADERS.iter();
            let known = known.find(|(there, _)| name.eq_ignore_ascii_case(there.as_bytes()));
            let Some((_, field)) = known else { continue };
            // The line with its end.
            let at = self.place(name);
            let line = &self.frame[at..];
            let end = line.iter().position(|byte| *byte == b'\n');
            let text = Value::Text(escaped(value, MOST_TEXT).to_string());
            self.add(field, text, at, end.map_or(line.len(), |end| end + 1));
        }
        true
    }

    fn ssh(&mut self) -> bool {
        let bytes = self.rest().1;
        let Some(banner) = ssh::Banner::new(bytes) else {
            return false;
        };
        self.layer("ssh", "SSH Protocol", banner.len, &[]);
        self.text("ssh.protocol", banner.line);
        self.data();
        true
    }

    fn lines(&mut self, protocol: &Lines, is_response: bool) -> bool {
        let (_, bytes) = self.rest();
        let first = word(bytes);
        let is_known = match (protocol.name, is_response) {
            ("imap", _) => bytes.ends_with(b"\r\n") && first.is_ascii(),
            ("pop", true) => matches!(first, b"+OK" | b"-ERR"),
            (_, true) => first.len() == 3 && first.iter().all(u8::is_ascii_digit),
            (_, false) => {
                (3..=8).contains(&first.len()) && first.iter().all(u8::is_ascii_alphabetic)
            }
        };
        if !is_known {
            return false;
        }
        self.layer(protocol.name, protocol.title, bytes.len(), &[]);
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        for line in lines.take(MOST_LINES) {
            if !self.line(protocol, is_response, line.trim_ascii_end()) {
                break;
            }
        }
        true
    }

    /// Shows a line, and says whether the next one may be looked at.
    fn line(&mut self, protocol: &Lines, is_response: bool, line: &[u8]) -> bool {
        let [first_name, rest_name] = match is_response {
            true => protocol.response,
            false => protocol.request,
        };
        let first = word(line);
        let rest = line.get(first.len() + 1..).unwrap_or_default();
        // The others are text, or the results of earlier ones.
        if protocol.name == "imap" {
            if !word(rest).is_empty() && first != b"*" && first != b"+" {
                self.text(first_name, first);
                self.text(rest_name, word(rest));
            }
            return true;
        }
        if !is_response || protocol.name == "pop" {
            self.text(first_name, first);
        } else if first.len() != 3 || !first.iter().all(u8::is_ascii_digit) {
            return false;
        } else if self.is_first(first_name) {
            let digits = first.iter().map(|digit| u64::from(digit - b'0'));
            let code = digits.fold(0, |code, digit| code * 10 + digit);
            let at = self.place(first);
            self.add(first_name, Value::Number(code), at, 3);
        }
        if !rest.is_empty() {
            self.text(rest_name, rest);
        }
        // Of the others Wireshark takes the first line for all.
        is_response && protocol.name == "smtp"
    }

    /// Whether the last layer has no field of this name.
    fn is_first(&self, name: &str) -> bool {
        let layer = self.layers.last();
        layer.is_some_and(|layer| layer.fields.iter().all(|field| field.name != name))
    }

    fn smb(&mut self) -> bool {
        let Some(message) = smb::Message::new(self.rest().1) else {
            return false;
        };
        self.layer(
            "nbss",
            "NetBIOS Session Service",
            smb::SESSION_HEADER,
            table::NBSS,
        );
        let len = self.rest().1.len();
        if message.version == 1 {
            self.layer(
                "smb",
                "SMB (Server Message Block Protocol)",
                len,
                table::SMB,
            );
            return true;
        }
        let start = self.at;
        self.layer(
            "smb2",
            "SMB2 (Server Message Block Protocol version 2)",
            len,
            table::SMB2,
        );
        if let Some(dialect) = message.dialect {
            self.add("smb2.dialect", Value::Hex(dialect.into(), 4), start + 68, 2);
        }
        true
    }

    fn ldap(&mut self) -> bool {
        let (_, bytes) = self.rest();
        // The tree has messages that begin with lengths of one byte: those of logins.
        let ([0x30, (..0x80), 2, 1, id, operation, (..0x80), rest @ ..], Some(_)) =
            (bytes, ldap::Message::new(bytes))
        else {
            return false;
        };
        let (id, operation) = (*id, *operation);
        let start = self.at;
        self.layer(
            "ldap",
            "Lightweight Directory Access Protocol",
            bytes.len(),
            &[],
        );
        self.add("ldap.messageID", Value::Number(id.into()), start + 4, 1);
        match (operation, rest) {
            (0x60, [2, 1, version, 4, name_len @ (..0x80), rest @ ..]) => {
                self.add(
                    "ldap.version",
                    Value::Number((*version).into()),
                    start + 9,
                    1,
                );
                let Some((name, rest)) = rest.split_at_checked(usize::from(*name_len)) else {
                    return true;
                };
                self.text("ldap.name", name);
                if let [0x80, len @ (1..0x80), rest @ ..] = rest
                    && let Some(password) = rest.get(..usize::from(*len))
                {
                    self.text("ldap.simple", password);
                }
            }
            (0x61, [0x0a, 1, code, ..]) => {
                let code = number(&[*code]);
                self.add("ldap.resultCode", Value::Number(code), start + 9, 1);
            }
            _ => {}
        }
        true
    }
}

/// Up to the first blank or end of a line, or the dash of a reply that goes on.
fn word(line: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| byte.is_ascii_whitespace();
    let word = &line[..line.iter().position(is_end).unwrap_or(line.len())];
    match word {
        [a, b, c, b'-', ..] if [a, b, c].iter().all(|byte| byte.is_ascii_digit()) => &word[..3],
        _ => word,
    }
}
