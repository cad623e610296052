//! TLS as far as one segment shows it, and the headers of QUIC that are not encrypted.

use super::{field::Value, walk::Walk};
use crate::{
    app::{
        quic::{Kind, Packet},
        tls::{
            Alert, ClientHello, Extensions, Record, ServerHello, content, extension, handshake,
            message,
        },
    },
    decode::be16,
    text::escaped,
};

/// Most records of a segment, and most ciphers and extensions of a message that are shown.
const MOST: usize = 256;

/// Most characters of a name that are shown.
const MOST_TEXT: usize = 255;

/// Bytes of the header of a handshake message.
const HEADER: usize = 4;

impl Walk<'_> {
    /// Records that begin with the segment. False where none do.
    pub(super) fn tls(&mut self) -> bool {
        let bytes = self.rest().1;
        if Record::new(bytes).is_none() {
            return false;
        }
        let start = self.at;
        self.layer("tls", "Transport Layer Security", bytes.len(), &[]);
        let mut at = 0;
        for _ in 0..MOST {
            // Of a record that goes on in other segments nothing is shown, as tshark has it.
            let Some(record) = Record::new(&bytes[at..]) else {
                break;
            };
            let body_at = at + Record::HEADER;
            let Some(body) = bytes.get(body_at..body_at + record.len) else {
                break;
            };
            self.number(
                "tls.record.content_type",
                record.content.into(),
                start + at,
                1,
            );
            self.hex("tls.record.version", record.version, start + at + 1);
            self.number("tls.record.length", record.len as u64, start + at + 3, 2);
            match record.content {
                content::HANDSHAKE => self.handshakes(start + body_at, body),
                content::ALERT => self.alert(start + body_at, body),
                _ => {}
            }
            at = body_at + record.len;
        }
        true
    }

    fn number(&mut self, name: &'static str, number: u64, at: usize, len: usize) {
        self.add(name, Value::Number(number), at, len);
    }

    /// A number of two bytes in base 16.
    fn hex(&mut self, name: &'static str, number: u16, at: usize) {
        self.add(name, Value::Hex(number.into(), 4), at, 2);
    }

    fn alert(&mut self, at: usize, body: &[u8]) {
        if Alert::new(body).is_some() {
            self.number("tls.alert_message.level", body[0].into(), at, 1);
            self.number("tls.alert_message.desc", body[1].into(), at + 1, 1);
        }
    }

    /// The messages of a record. They fill it, as long as they are not encrypted.
    fn handshakes(&mut self, mut at: usize, record: &[u8]) {
        let is_filled = |mut rest: &[u8]| {
            while let Some((kind, len, body)) = message(rest) {
                if kind > handshake::LAST || body.len() < len {
                    return false;
                }
                rest = &rest[HEADER + len..];
            }
            rest.is_empty()
        };
        if !is_filled(record) {
            return;
        }
        let mut rest = record;
        while let Some((kind, len, body)) = message(rest) {
            self.number("tls.handshake.type", kind.into(), at, 1);
            self.number("tls.handshake.length", len as u64, at + 1, 3);
            match kind {
                handshake::CLIENT_HELLO => self.client_hello(at + HEADER, body),
                handshake::SERVER_HELLO => self.server_hello(at + HEADER, body),
                _ => {}
            }
            at += HEADER + len;
            rest = &rest[HEADER + len..];
        }
    }

    fn client_hello(&mut self, at: usize, body: &[u8]) {
        let Some(hello) = ClientHello::new(body) else {
            return;
        };
        self.hex("tls.handshake.version", hello.legacy_version, at);
        let id_at = at + 34;
        let id_len = hello.session_id.len();
        self.number("tls.handshake.session_id_length", id_len as u64, id_at, 1);
        let ciphers_at = id_at + 1 + id_len;
        let len = hello.cipher_bytes.len();
        self.number(
            "tls.handshake.cipher_suites_length",
            len as u64,
            ciphers_at,
            2,
        );
        for (place, cipher) in hello.ciphers().take(MOST).enumerate() {
            self.hex(
                "tls.handshake.ciphersuite",
                cipher,
                ciphers_at + 2 + place * 2,
            );
        }
        let methods_at = ciphers_at + 2 + len;
        let methods = hello.compression.len();
        self.number(
            "tls.handshake.comp_methods_length",
            methods as u64,
            methods_at,
            1,
        );
        self.extensions(methods_at + 1 + methods, &hello.extensions);
        if let Some(name) = hello.server_name() {
            self.text_of("tls.handshake.extensions_server_name", at, body, name);
        }
        for name in hello.alpn().take(MOST) {
            self.text_of("tls.handshake.extensions_alpn_str", at, body, name);
        }
        if let Some([_, versions @ ..]) = hello.extensions.get(extension::SUPPORTED_VERSIONS) {
            let versions_at = at + offset(body, versions);
            for (place, version) in versions.chunks_exact(2).take(MOST).enumerate() {
                let at = versions_at + place * 2;
                self.hex(
                    "tls.handshake.extensions.supported_version",
                    be16(version, 0),
                    at,
                );
            }
        }
    }

    fn server_hello(&mut self, at: usize, body: &[u8]) {
        let Some(hello) = ServerHello::new(body) else {
            return;
        };
        self.hex("tls.handshake.version", be16(body, 0), at);
        let id_len = usize::from(body[34]);
        self.number("tls.handshake.session_id_length", id_len as u64, at + 34, 1);
        let cipher_at = at + 35 + id_len;
        self.hex("tls.handshake.ciphersuite", hello.cipher, cipher_at);
        self.extensions(cipher_at + 3, &hello.extensions);
        if let Some(version) = hello.extensions.get(extension::SUPPORTED_VERSIONS)
            && version.len() == 2
        {
            let version_at = at + offset(body, version);
            let name = "tls.handshake.extensions.supported_version";
            self.hex(name, be16(version, 0), version_at);
        }
    }

    /// Type and length of each extension.
    fn extensions(&mut self, at: usize, extensions: &Extensions<'_>) {
        let all = extensions.bytes();
        if all.is_empty() {
            return;
        }
        self.number("tls.handshake.extensions_length", all.len() as u64, at, 2);
        for (kind, content) in extensions.iter().take(MOST) {
            let content_at = at + 2 + offset(all, content);
            self.number(
                "tls.handshake.extension.type",
                kind.into(),
                content_at - 4,
                2,
            );
            let len = content.len() as u64;
            self.number("tls.handshake.extension.len", len, content_at - 2, 2);
        }
    }

    /// A text that is a part of a message at `at`.
    fn text_of(&mut self, name: &'static str, at: usize, body: &[u8], text: &[u8]) {
        let value = Value::Text(escaped(text, MOST_TEXT).to_string());
        self.add(name, value, at + offset(body, text), text.len());
    }

    /// A datagram of QUIC whose first packet says its version. False where it does not.
    pub(super) fn quic(&mut self) -> bool {
        let (start, bytes) = self.rest();
        let Some((packet, _)) = Packet::new(bytes) else {
            return false;
        };
        self.layer("quic", "QUIC IETF", bytes.len(), &[]);
        self.add("quic.header_form", Value::Flag(true), start, 1);
        self.add("quic.fixed_bit", Value::Flag(true), start, 1);
        if packet.version == 1 {
            let kind = u64::from(bytes[0] >> 4 & 3);
            self.number("quic.long.packet_type", kind, start, 1);
        }
        self.add(
            "quic.version",
            Value::Hex(packet.version.into(), 8),
            start + 1,
            4,
        );
        let (to, from) = (packet.destination.len(), packet.source.len());
        self.number("quic.dcil", to as u64, start + 5, 1);
        if to > 0 {
            self.add("quic.dcid", Value::Bytes, start + 6, to);
        }
        self.number("quic.scil", from as u64, start + 6 + to, 1);
        if from > 0 {
            self.add("quic.scid", Value::Bytes, start + 7 + to, from);
        }
        if packet.kind == Kind::Initial && packet.token.is_empty() {
            self.number("quic.token_length", 0, start + 7 + to + from, 1);
        }
        true
    }
}

/// Where in `whole` a part of it begins.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr() as usize - whole.as_ptr() as usize
}
