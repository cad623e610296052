//! TLS, over TCP and within QUIC: how handshakes begin and fail, what they agree to, and which certificates are shown.

mod certificates;
mod clients;
mod failures;
mod quic;
mod stream;
mod weak;

use self::{
    certificates::Certificates,
    clients::Clients,
    failures::{Failures, Reason},
    quic::Read,
    stream::{Event, Stream},
    weak::Weak,
};
use crate::{
    app::{
        quic::{FEWEST_BYTES, FEWEST_ID_BYTES, Kind as PacketKind, Packet},
        tls::{
            self as wire, ClientHello, Ja4, ServerHello, Transport, certificates, handshake,
            version,
        },
    },
    facts::Facts,
    finding::Finding,
    report::TlsReport,
    rules::tls as rules,
    text::escaped,
};
use crate::{
    application::Kind,
    applications::protocol::{self, At, Ending, Guess, Peer, Step},
};

/// The code of handshakes that fail.
pub(super) const FAILED: &str = rules::FAILED.code;

/// Ports of QUIC.
const QUIC: Kind = Kind {
    name: "QUIC",
    ports: &[443, 784, 853, 8443, 8853],
};

/// Most characters of a name. No host has a longer one (RFC 1035).
const MOST_CHARACTERS: usize = 253;

/// Length of an encrypted alert in TLS 1.3: two bytes, one for its type, and the tag of the cipher. The first encrypted
/// message of a client in a handshake that succeeds is longer.
const ENCRYPTED_ALERT: usize = 19;

/// Alerts that are no failure, whatever their level: close_notify, user_canceled, no_renegotiation.
const HARMLESS: [u8; 3] = [0, 90, 100];

/// What a client said first.
#[derive(Clone, Debug)]
struct Hello {
    /// The packet that completed it.
    number: u64,
    ns: u64,
    /// The name of the server, in lower case, what cannot be shown escaped.
    name: Option<Box<str>>,
}

/// What is known of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    streams: [Stream; 2],
    hello: Option<Hello>,
    /// The version that the server took.
    version: Option<u16>,
    /// Whether the server asked for another ClientHello, which is only in TLS 1.3.
    is_retried: bool,
    /// Whether the server said anything.
    is_answered: bool,
    quic: Option<Box<quic::State>>,
}

/// Measures TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    failures: Failures,
    certificates: Certificates,
    weak: Weak,
    clients: Clients,
}

impl protocol::Detector for Detector {
    type State = State;

    const KIND: Kind = Kind {
        name: "TLS",
        // HTTPS, mail, LDAP, DNS, FTP, Telnet, IRC, Docker, Oracle, Active Directory, SIP, XMPP, TURN, AMQP, WinRM,
        // Kubernetes, syslog, etcd, MQTT, Matrix, panels of servers and push services (IANA, or their documents).
        ports: &[
            443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 2083, 2087, 2096, 2376, 2379,
            2380, 2484, 3269, 4443, 5061, 5223, 5228, 5349, 5671, 5986, 6443, 6514, 6697, 8443,
            8448, 8883, 9443, 10_250, 10_443,
        ],
    };

    fn guess([client, _]: [&[u8]; 2]) -> Guess {
        // A record of a version of SSL 3 or TLS, and a ClientHello in it.
        match client {
            [22, 3, 0..=4, _, _, kind, ..] if *kind == handshake::CLIENT_HELLO => Guess::Yes,
            [22, 3, 0..=4, _, _, _, ..] => Guess::No,
            _ => match Guess::prefix(client, &[22, 3]) {
                Guess::No => Guess::No,
                _ => Guess::Maybe,
            },
        }
    }

    fn guess_datagram(payload: &[u8], _ports: (u16, u16)) -> bool {
        payload.len() >= FEWEST_BYTES
            && Packet::new(payload).is_some_and(|(packet, _)| {
                packet.kind == PacketKind::Initial && packet.destination.len() >= FEWEST_ID_BYTES
            })
    }

    fn kind(state: &State) -> &'static Kind {
        match state.quic {
            Some(_) => &QUIC,
            None => &Self::KIND,
        }
    }

    fn held(state: &State) -> usize {
        let streams = state.streams.iter().map(Stream::held);
        streams.sum::<usize>() + state.quic.as_ref().map_or(0, |quic| quic.held())
    }

    fn is_confirmed(state: &State) -> bool {
        state.version.is_some()
    }

    fn bytes(&mut self, state: &mut State, at: &At, from: Peer, bytes: &[u8]) -> Step {
        state.is_answered |= from == Peer::Server;
        let is_1_3 = state.is_retried || state.version == Some(version::TLS_1_3);
        let Some((step, event)) = state.streams[from.index()].read(bytes, is_1_3) else {
            if from == Peer::Server && state.version.is_none() {
                self.fail(state, at, Reason::OtherProtocol);
            }
            return Step::Done;
        };
        match event {
            Some(Event::Alert(alert))
                if alert.is_fatal && !HARMLESS.contains(&alert.description) =>
            {
                self.fail(state, at, Reason::Alert(from, alert.description));
                return Step::Done;
            }
            Some(Event::Encrypted(len)) => {
                let is_alert = from == Peer::Client
                    && len == ENCRYPTED_ALERT
                    && state.version == Some(version::TLS_1_3);
                if is_alert {
                    self.fail(state, at, Reason::EncryptedAlert);
                }
                let [client, server] = &state.streams;
                if client.is_encrypted() && server.is_encrypted() {
                    return Step::Done;
                }
            }
            Some(Event::Alert(_)) | None => {}
        }
        self.messages(state, at, from);
        step
    }

    fn datagram(&mut self, state: &mut State, at: &At, from: Peer, payload: &[u8]) -> Step {
        let quic = state.quic.get_or_insert_default();
        let read = quic.read(from, payload, &mut state.streams);
        self.messages(state, at, from);
        match read {
            Read::Close(Some(alert)) => {
                self.fail(state, at, Reason::Alert(from, alert));
                Step::Done
            }
            Read::Initial if state.version.is_none() => Step::More,
            Read::Other if state.hello.is_none() => Step::More,
            Read::Close(None) | Read::Initial | Read::Other | Read::Enough => Step::Done,
        }
    }

    fn end(&mut self, state: &mut State, at: &At, ending: Ending) {
        let Some(hello) = &state.hello else { return };
        let reason = match ending {
            Ending::Reset(Peer::Server) => Reason::Reset,
            Ending::Closed(Peer::Server) if !state.is_answered => Reason::Closed,
            Ending::Open { is_unanswered } if is_unanswered && !state.is_answered => {
                let at = At {
                    number: hello.number,
                    ns: hello.ns,
                    ..*at
                };
                return self.fail(state, &at, Reason::Silence);
            }
            _ => return,
        };
        self.fail(state, at, reason);
    }

    fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        self.failures.findings(facts, findings);
        self.certificates.findings(findings);
        self.weak.findings(findings);
    }
}

impl Detector {
    /// Messages that are whole by now.
    fn messages(&mut self, state: &mut State, at: &At, from: Peer) {
        // What was put together is taken out while it is looked at.
        while let Some(message) = state.streams[from.index()].message() {
            if let Some((kind, _, body)) = wire::message(&message) {
                self.message(state, at, from, kind, body);
            }
        }
    }

    /// A whole handshake message that is not encrypted.
    fn message(&mut self, state: &mut State, at: &At, from: Peer, kind: u8, body: &[u8]) {
        match (from, kind) {
            (Peer::Client, handshake::CLIENT_HELLO) if state.hello.is_none() => {
                let Some(hello) = ClientHello::new(body) else {
                    return;
                };
                let transport = match state.quic {
                    Some(_) => Transport::Quic,
                    None => Transport::Tcp,
                };
                let name = hello.server_name().map(name);
                self.clients
                    .hello(name.as_deref(), Ja4::new(&hello, transport), transport);
                state.hello = Some(Hello {
                    number: at.number,
                    ns: at.ns,
                    name,
                });
            }
            (Peer::Server, handshake::SERVER_HELLO) => {
                let Some(hello) = ServerHello::new(body) else {
                    return;
                };
                if hello.is_retry() {
                    state.is_retried = true;
                    return;
                }
                state.version = Some(hello.version());
                self.clients.answer(hello.version());
                self.weak
                    .add(at, hello.version(), hello.cipher, state.name());
            }
            // Encrypted in later versions, of which this could not be seen.
            (Peer::Server, handshake::CERTIFICATE)
                if state
                    .version
                    .is_some_and(|version| version <= version::TLS_1_2) =>
            {
                if let Some(certificate) = certificates(body).next() {
                    self.certificates.add(at, certificate, state.name());
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, state: &State, at: &At, reason: Reason) {
        if state.hello.is_some() {
            self.failures.add(at, reason, state.name());
        }
    }

    /// The figures for the report; `None` without TLS.
    pub(super) fn report(&self) -> Option<TlsReport> {
        self.clients.report()
    }
}

impl State {
    fn name(&self) -> Option<&str> {
        self.hello.as_ref()?.name.as_deref()
    }
}

/// The name of a server, to be shown.
fn name(bytes: &[u8]) -> Box<str> {
    let lower = bytes.to_ascii_lowercase();
    escaped(&lower, MOST_CHARACTERS).to_string().into()
}
