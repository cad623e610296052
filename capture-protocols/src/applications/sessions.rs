//! FTP, SMTP, POP3, IMAP and Telnet: logins in sessions of lines.

use std::marker::PhantomData;

use crate::{
    app::login::{Event, Protocol, Session, is_telnet, telnet_data},
    facts::Facts,
    finding::Finding,
    logins::Results,
};
use crate::{
    application::Kind,
    applications::{
        credentials::{Logins, Words},
        lines::{Line, Lines},
        protocol::{self, At, Guess, Peer, Step},
    },
};

/// Most lines of a session that are looked at: a login comes early.
const MOST_LINES: u16 = 1000;

/// Bytes of a terminal that are looked at, of each segment.
const TERMINAL: usize = 512;

/// Verbs of clients that are sent before a login.
const FTP_VERBS: [&[u8]; 8] = [
    b"USER", b"AUTH", b"FEAT", b"SYST", b"OPTS", b"HOST", b"CLNT", b"QUIT",
];
const SMTP_VERBS: [&[u8]; 3] = [b"EHLO", b"HELO", b"LHLO"];
const POP3_VERBS: [&[u8]; 6] = [b"USER", b"CAPA", b"AUTH", b"APOP", b"STLS", b"QUIT"];

/// What is special of each.
pub(super) trait Dialect: Default {
    const KIND: Kind;
    const PROTOCOL: Protocol;
    /// Display filter of the packet with the password.
    const FILTER: &'static str;

    fn guess(client: &[u8], server: &[u8]) -> Guess;
}

/// What is known of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    session: Option<Session>,
    lines: [Lines; 2],
    count: u16,
}

/// Measures one of the protocols.
#[derive(Clone, Debug, Default)]
pub(super) struct Sessions<D> {
    logins: Logins,
    dialect: PhantomData<D>,
}

impl<D: Dialect> protocol::Detector for Sessions<D> {
    type State = State;

    const KIND: Kind = D::KIND;

    fn guess([client, server]: [&[u8]; 2]) -> Guess {
        D::guess(client, server)
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        if state.count > MOST_LINES {
            return Step::Done;
        }
        let session = state
            .session
            .get_or_insert_with(|| Session::new(D::PROTOCOL));
        let mut room = [0; TERMINAL];
        let (line, len) = if D::PROTOCOL == Protocol::Telnet {
            let text = telnet_data(bytes, &mut room);
            let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
            let start = text.iter().take_while(|byte| is_padding(byte)).count();
            (&text[start..], bytes.len())
        } else {
            match bytes.first() {
                // What follows is encrypted.
                Some(22) => return Step::Restart,
                Some(first) if !is_text(*first) => return Step::Done,
                _ => {}
            }
            state.count += 1;
            match state.lines[from.index()].first(bytes) {
                Line::Whole(line, len) => (line, len),
                Line::Open => return Step::More,
                Line::TooLong => return Step::Done,
            }
        };
        let event = match from {
            // A message, in which anything may stand.
            Peer::Client if D::PROTOCOL == Protocol::Smtp && is_message(line) => return Step::Done,
            Peer::Client => session.client(line),
            Peer::Server => session.server(line),
        };
        match event {
            Some(Event::Password) => self.logins.sent(at),
            Some(Event::Refused) => self.logins.refused(),
            Some(Event::Accepted) => {
                self.logins.accepted();
                return Step::Done;
            }
            None => {}
        }
        Step::Take(len)
    }

    fn logins(&mut self) -> Option<Results> {
        self.logins.take_results()
    }

    fn findings(&self, _facts: &Facts, findings: &mut Vec<Finding>) {
        let words = Words::of_passwords(D::KIND.name, D::FILTER);
        self.logins.findings(&words, findings);
    }
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

fn is_message(line: &[u8]) -> bool {
    let verb = line.get(..4).unwrap_or_default();
    verb.eq_ignore_ascii_case(b"DATA") || verb.eq_ignore_ascii_case(b"BDAT")
}

/// Whether a client begins with one of these verbs.
fn verb(client: &[u8], verbs: &[&[u8]]) -> Guess {
    let first = client.get(..4).unwrap_or(client);
    let is_end = client.get(4).is_none_or(|byte| byte.is_ascii_whitespace());
    let is_verb = |verb: &&[u8]| verb[..first.len()].eq_ignore_ascii_case(first);
    match is_end && verbs.iter().any(is_verb) {
        true if client.len() > 4 => Guess::Yes,
        true => Guess::Maybe,
        false => Guess::No,
    }
}

/// Whether `name` stands in a greeting.
fn names(greeting: &[u8], name: &[u8]) -> bool {
    let greeting = &greeting[..greeting.len().min(512)];
    let mut places = greeting.windows(name.len());
    places.any(|place| place.eq_ignore_ascii_case(name))
}

/// A protocol in which the server begins, told by what it calls itself or else by the first verb of the client.
fn greeted(server: Guess, is_named: bool, client: Guess) -> Guess {
    match (server, client) {
        (Guess::No, _) | (_, Guess::No) => Guess::No,
        (Guess::Yes, _) if is_named => Guess::Yes,
        (Guess::Yes, Guess::Yes) => Guess::Yes,
        _ => Guess::Maybe,
    }
}

macro_rules! dialects {
    ($($module:ident: $name:ident,)*) => {
        $(
            #[doc = concat!("The detector of ", stringify!($name), ".")]
            pub(super) mod $module {
                pub(crate) type Detector = super::Sessions<super::$name>;
            }

            #[derive(Clone, Debug, Default)]
            pub(super) struct $name;
        )*
    };
}

dialects! {
    ftp: Ftp,
    smtp: Smtp,
    pop3: Pop3,
    imap: Imap,
    telnet: Telnet,
}

impl Dialect for Ftp {
    const KIND: Kind = Kind {
        name: "FTP",
        ports: &[21],
    };
    const PROTOCOL: Protocol = Protocol::Ftp;
    const FILTER: &'static str = "tcp.payload matches \"(?i)^pass \"";

    fn guess(client: &[u8], server: &[u8]) -> Guess {
        let is_greeting = Guess::prefix(server, b"220");
        let is_named = names(server, b"ftp") && !names(server, b"smtp");
        greeted(is_greeting, is_named, verb(client, &FTP_VERBS))
    }
}

impl Dialect for Smtp {
    const KIND: Kind = Kind {
        name: "SMTP",
        ports: &[25, 465, 587, 2525],
    };
    const PROTOCOL: Protocol = Protocol::Smtp;
    const FILTER: &'static str = "tcp.len > 0";

    fn guess(client: &[u8], server: &[u8]) -> Guess {
        let is_greeting = Guess::prefix(server, b"220");
        greeted(
            is_greeting,
            names(server, b"smtp"),
            verb(client, &SMTP_VERBS),
        )
    }
}

impl Dialect for Pop3 {
    const KIND: Kind = Kind {
        name: "POP3",
        ports: &[110],
    };
    const PROTOCOL: Protocol = Protocol::Pop3;
    const FILTER: &'static str = "tcp.len > 0";

    fn guess(client: &[u8], server: &[u8]) -> Guess {
        let is_greeting = Guess::prefix(server, b"+OK");
        greeted(
            is_greeting,
            names(server, b"pop3"),
            verb(client, &POP3_VERBS),
        )
    }
}

impl Dialect for Imap {
    const KIND: Kind = Kind {
        name: "IMAP",
        ports: &[143],
    };
    const PROTOCOL: Protocol = Protocol::Imap;
    const FILTER: &'static str = "tcp.len > 0";

    fn guess(_client: &[u8], server: &[u8]) -> Guess {
        match Guess::prefix(server, b"* OK ") {
            Guess::No => Guess::prefix(server, b"* PREAUTH "),
            found => found,
        }
    }
}

impl Dialect for Telnet {
    const KIND: Kind = Kind {
        name: "Telnet",
        ports: &[23, 2323],
    };
    const PROTOCOL: Protocol = Protocol::Telnet;
    const FILTER: &'static str = "tcp.len > 0";

    fn guess(client: &[u8], server: &[u8]) -> Guess {
        let end = server.trim_ascii_end();
        let prompts = [&b"login:"[..], b"username:"];
        let is_prompt = |prompt: &&[u8]| {
            let start = end.len().checked_sub(prompt.len());
            start.is_some_and(|start| end[start..].eq_ignore_ascii_case(prompt))
        };
        match is_telnet(client) || is_telnet(server) || prompts.iter().any(is_prompt) {
            true => Guess::Yes,
            // The prompt may come after a few lines.
            false if client.is_empty() && server.is_ascii() => Guess::Maybe,
            false => Guess::No,
        }
    }
}
