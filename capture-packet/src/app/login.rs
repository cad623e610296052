//! Logins of protocols that talk in lines: FTP (RFC 959), SMTP (RFC 4954), POP3 (RFC 1939, RFC 5034), IMAP (RFC 9051); and of
//! Telnet (RFC 854), where only prompts tell. What a line says about a login is told, and nothing of it is kept.

/// A protocol of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// File transfer.
    Ftp,
    /// Mail, on its way.
    Smtp,
    /// Mail, to be fetched.
    Pop3,
    /// Mail, on the server.
    Imap,
    /// A terminal.
    Telnet,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client sent a password that everybody on the way can read.
    Password,
    /// The server refused a name or password.
    Refused,
    /// The server took it.
    Accepted,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// No login is under way.
    #[default]
    Idle,
    /// The client gave a name that needs no password.
    Anonymous,
    /// So many lines of the client are left, the last of which is a password.
    Secrets(u8),
    /// A login waits for its result.
    Waits,
}

/// A session, fed line by line.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    protocol: Protocol,
    step: Step,
}

impl Session {
    /// A session in which nothing was said yet.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            step: Step::Idle,
        }
    }

    /// Its protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// A line of the client, without its end.
    pub fn client(&mut self, line: &[u8]) -> Option<Event> {
        if let Step::Secrets(left) = self.step {
            return self.secret(line, left);
        }
        match self.protocol {
            Protocol::Ftp | Protocol::Pop3 | Protocol::Smtp => self.command(line),
            Protocol::Imap => {
                let (_tag, command) = word(line);
                let (verb, arguments) = word(command);
                if verb.eq_ignore_ascii_case(b"LOGIN") && !arguments.is_empty() {
                    return self.password();
                }
                let is_login = verb.eq_ignore_ascii_case(b"AUTHENTICATE");
                is_login.then(|| self.mechanism(arguments)).flatten()
            }
            Protocol::Telnet => None,
        }
    }

    /// A line of the server, without its end.
    pub fn server(&mut self, line: &[u8]) -> Option<Event> {
        if self.protocol == Protocol::Telnet {
            return self.terminal(line);
        }
        if self.step != Step::Waits {
            // A challenge that was refused ends the exchange.
            let is_over = matches!(self.step, Step::Secrets(_)) && self.refuses(line);
            if is_over {
                self.step = Step::Idle;
            }
            return None;
        }
        if self.refuses(line) {
            self.step = Step::Idle;
            return Some(Event::Refused);
        }
        if self.accepts(line) {
            self.step = Step::Idle;
            return Some(Event::Accepted);
        }
        None
    }

    fn command(&mut self, line: &[u8]) -> Option<Event> {
        let (verb, argument) = word(line);
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        let has_user = matches!(self.protocol, Protocol::Ftp | Protocol::Pop3);
        if has_user && is(b"USER") {
            // RFC 1635: the password is a courtesy.
            let is_anonymous = argument.eq_ignore_ascii_case(b"anonymous")
                || argument.eq_ignore_ascii_case(b"ftp");
            self.step = match is_anonymous {
                true => Step::Anonymous,
                false => Step::Idle,
            };
            None
        } else if has_user && is(b"PASS") && !argument.is_empty() {
            match self.step {
                Step::Anonymous => None,
                _ => self.password(),
            }
        } else if self.protocol != Protocol::Ftp && is(b"AUTH") {
            self.mechanism(argument)
        } else {
            None
        }
    }

    /// A login by a mechanism of SASL, with what the client says in the same line.
    fn mechanism(&mut self, arguments: &[u8]) -> Option<Event> {
        let (name, initial) = word(arguments);
        let is = |mechanism: &[u8]| name.eq_ignore_ascii_case(mechanism);
        let lines = match () {
            () if is(b"PLAIN") || is(b"XOAUTH2") || is(b"OAUTHBEARER") => 1,
            () if is(b"LOGIN") => 2,
            // The others show no password.
            () => {
                self.step = Step::Waits;
                return None;
            }
        };
        match lines - u8::from(!initial.is_empty() && initial != b"=") {
            0 => self.password(),
            left => {
                self.step = Step::Secrets(left);
                None
            }
        }
    }

    fn secret(&mut self, line: &[u8], left: u8) -> Option<Event> {
        if line == b"*" || line.is_empty() {
            self.step = Step::Idle;
            return None;
        }
        if left > 1 {
            self.step = Step::Secrets(left - 1);
            return None;
        }
        self.password()
    }

    fn password(&mut self) -> Option<Event> {
        self.step = Step::Waits;
        Some(Event::Password)
    }

    fn refuses(&self, line: &[u8]) -> bool {
        match self.protocol {
            Protocol::Ftp => line.starts_with(b"530"),
            Protocol::Smtp => line.starts_with(b"535"),
            Protocol::Pop3 => line.starts_with(b"-ERR"),
            Protocol::Imap => is_result(line, b"NO"),
            Protocol::Telnet => false,
        }
    }

    fn accepts(&self, line: &[u8]) -> bool {
        match self.protocol {
            Protocol::Ftp => line.starts_with(b"230"),
            Protocol::Smtp => line.starts_with(b"235"),
            Protocol::Pop3 => line.starts_with(b"+OK"),
            Protocol::Imap => is_result(line, b"OK"),
            Protocol::Telnet => false,
        }
    }

    /// What the server of a terminal shows.
    fn terminal(&mut self, text: &[u8]) -> Option<Event> {
        let asks = |prompt: &[u8]| {
            let end = text.trim_ascii_end();
            let start = end.len().checked_sub(prompt.len());
            start.is_some_and(|start| end[start..].eq_ignore_ascii_case(prompt))
        };
        let is_refused = self.step == Step::Waits && refuses_login(text);
        if asks(b"password:") || asks(b"passcode:") {
            self.step = Step::Secrets(1);
        } else if is_refused || asks(b"login:") || asks(b"username:") {
            self.step = Step::Idle;
        }
        is_refused.then_some(Event::Refused)
    }
}

/// Whether a line of IMAP is the result of a command.
fn is_result(line: &[u8], result: &[u8]) -> bool {
    let (tag, rest) = word(line);
    tag != b"*" && tag != b"+" && word(rest).0.eq_ignore_ascii_case(result)
}

/// Whether a terminal says that a login failed, as login(1) and routers do.
fn refuses_login(text: &[u8]) -> bool {
    let text = &text[..text.len().min(512)];
    let said = [
        &b"incorrect"[..],
        b"login failed",
        b"authentication failed",
        b"login invalid",
        b"access denied",
    ];
    said.iter().any(|said| {
        text.windows(said.len())
            .any(|at| at.eq_ignore_ascii_case(said))
    })
}

/// The first word of a line, and what comes behind it.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], line[at..].trim_ascii()),
        None => (line.trim_ascii_end(), &[]),
    }
}

/// The bytes of Telnet without its commands (RFC 854, RFC 855), at most as many as there is room for.
pub fn telnet_data<'d>(mut bytes: &[u8], into: &'d mut [u8]) -> &'d [u8] {
    let mut len = 0;
    while let ([first, rest @ ..], true) = (bytes, len < into.len()) {
        bytes = rest;
        match (*first, rest.first()) {
            // A byte 255 that is meant.
            (255, Some(255)) | (0..255, _) => {
                into[len] = *first;
                len += 1;
                if *first == 255 {
                    bytes = &rest[1..];
                }
            }
            (255, Some(251..=254)) => bytes = rest.get(2..).unwrap_or_default(),
            (255, Some(250)) => {
                let end = rest.windows(2).position(|pair| pair == [255, 240]);
                bytes = end.map_or(&[], |end| &rest[end + 2..]);
            }
            (255, _) => bytes = rest.get(1..).unwrap_or_default(),
        }
    }
    &into[..len]
}

/// Whether a side of Telnet begins like this: with a negotiation of options.
pub fn is_telnet(bytes: &[u8]) -> bool {
    matches!(bytes, [255, 251..=254, 0..=49, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each line does; those of the client begin with `C: `.
    fn play(protocol: Protocol, lines: &[(&str, Option<Event>)]) {
        let mut session = Session::new(protocol);
        for (line, event) in lines {
            let found = match line.strip_prefix("C: ") {
                Some(line) => session.client(line.as_bytes()),
                None => session.server(line.as_bytes()),
            };
            assert_eq!(found, *event, "{protocol:?}: {line}");
        }
    }

    const PASSWORD: Option<Event> = Some(Event::Password);
    const REFUSED: Option<Event> = Some(Event::Refused);
    const ACCEPTED: Option<Event> = Some(Event::Accepted);

    #[test]
    fn ftp() {
        play(
            Protocol::Ftp,
            &[
                ("530 Please login with USER and PASS.", None),
                ("C: USER alice", None),
                ("331 Password", None),
                ("C: pass wrong", PASSWORD),
                ("530 Login incorrect.", REFUSED),
                ("C: USER alice", None),
                ("C: PASS right", PASSWORD),
                ("230 Welcome", ACCEPTED),
                ("C: USER anonymous", None),
                ("C: PASS me@example.org", None),
                ("230 Welcome", None),
            ],
        );
    }

    #[test]
    fn smtp() {
        play(
            Protocol::Smtp,
            &[
                ("C: EHLO me", None),
                ("C: AUTH PLAIN AGEAYg==", PASSWORD),
                ("535 5.7.8 Error", REFUSED),
                ("C: AUTH LOGIN", None),
                ("334 VXNlcm5hbWU6", None),
                ("C: YQ==", None),
                ("334 UGFzc3dvcmQ6", None),
                ("C: Yg==", PASSWORD),
                ("235 ok", ACCEPTED),
                ("C: AUTH CRAM-MD5", None),
                ("C: PDE+", None),
                ("535 no", REFUSED),
                ("C: AUTH PLAIN", None),
                ("C: *", None),
                ("501 cancelled", None),
                ("C: MAIL FROM:<a@b>", None),
            ],
        );
    }

    #[test]
    fn pop3_and_imap() {
        play(
            Protocol::Pop3,
            &[
                ("C: USER a", None),
                ("+OK", None),
                ("C: PASS b", PASSWORD),
                ("-ERR no", REFUSED),
                ("C: APOP a c4c9334bac560ecc979e58001b3e22fb", None),
                ("-ERR no", None),
                ("C: AUTH PLAIN AGEAYg==", PASSWORD),
                ("+OK", ACCEPTED),
            ],
        );
        play(
            Protocol::Imap,
            &[
                ("* OK ready", None),
                ("C: a1 LOGIN a b", PASSWORD),
                ("* NO what", None),
                ("a1 NO no", REFUSED),
                ("C: a2 AUTHENTICATE PLAIN", None),
                ("+ ", None),
                ("C: AGEAYg==", PASSWORD),
                ("a2 OK done", ACCEPTED),
                ("C: a3 SELECT INBOX", None),
                ("a3 NO such", None),
            ],
        );
    }

    #[test]
    fn telnet() {
        play(
            Protocol::Telnet,
            &[
                ("router login: ", None),
                ("C: alice", None),
                ("Password: ", None),
                ("C: x", PASSWORD),
                ("C: more of it", None),
                ("Login incorrect", REFUSED),
                ("C: ls", None),
            ],
        );
        let mut room = [0; 16];
        let bytes = b"\xff\xfb\x01a\xff\xfa\x18\x00xterm\xff\xf0b\xff\xffc\xff\xf1d\xff";
        assert_eq!(telnet_data(bytes, &mut room), b"ab\xffcd");
        for len in 0..bytes.len() {
            telnet_data(&bytes[..len], &mut room[..3]);
        }
        assert!(
            is_telnet(b"\xff\xfd\x18") && !is_telnet(b"\xff\xd8\xff\xe0"),
            "JPEG"
        );
    }
}
