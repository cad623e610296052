//! The records of one direction, and the handshake messages in them.

use crate::app::tls::{Alert, Record, content, message};
use crate::applications::protocol::Step;

/// Most bytes of a handshake message that is kept: more than any chain of certificates has that is of use.
const MOST_IN_MESSAGE: usize = 32_768;

/// Bytes of the header of a message.
const HEADER: usize = 4;

/// What a record says by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// An alert that is not encrypted.
    Alert(Alert),
    /// It is encrypted, and of this length.
    Encrypted(usize),
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Type of the record that is being read, and what is left of it.
    content: u8,
    left: usize,
    /// Whether its sender encrypts.
    is_encrypted: bool,
    /// Messages, the last of which may not be whole; those before `taken` were taken.
    messages: Vec<u8>,
    taken: usize,
    /// What is left of a message that is too long to be kept.
    skip: usize,
}

impl Stream {
    /// Reads what comes next; `None` where it is no TLS. In TLS 1.3 a ChangeCipherSpec means nothing (RFC 8446 appendix
    /// D.4).
    pub(super) fn read(&mut self, bytes: &[u8], is_1_3: bool) -> Option<(Step, Option<Event>)> {
        if self.left == 0 {
            if bytes.len() < Record::HEADER {
                // Whatever begins like this must be of it.
                let is_possible = (content::CHANGE_CIPHER_SPEC..=content::HEARTBEAT)
                    .contains(bytes.first().unwrap_or(&content::HANDSHAKE));
                return is_possible.then_some((Step::More, None));
            }
            return self.record(Record::new(bytes)?, is_1_3);
        }
        let len = self.left.min(bytes.len());
        match self.content {
            content::HANDSHAKE => {
                self.add(&bytes[..len]);
                self.left -= len;
                Some((Step::Take(len), None))
            }
            content::ALERT if len < self.left => Some((Step::More, None)),
            _ => {
                let alert = Alert::new(&bytes[..len]);
                self.left = 0;
                Some((Step::Take(len), alert.map(Event::Alert)))
            }
        }
    }

    /// The header of a record.
    fn record(&mut self, record: Record, is_1_3: bool) -> Option<(Step, Option<Event>)> {
        let is_change = record.content == content::CHANGE_CIPHER_SPEC;
        let is_data = record.content == content::APPLICATION_DATA;
        // In TLS 1.3 the rest of the handshake is data too.
        if self.is_encrypted || is_data {
            let event = Event::Encrypted(record.len);
            self.is_encrypted = true;
            return Some((Step::Take(Record::HEADER + record.len), Some(event)));
        }
        if is_change {
            self.is_encrypted = !is_1_3;
            return Some((Step::Take(Record::HEADER + record.len), None));
        }
        self.content = record.content;
        self.left = record.len;
        Some((Step::Take(Record::HEADER), None))
    }

    /// Whether what its sender says can no longer be read.
    pub(super) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Adds bytes of handshake messages.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.messages.drain(..std::mem::take(&mut self.taken));
        self.messages.extend_from_slice(&bytes[skipped..]);
        if let Some((_, len, body)) = message(&self.messages)
            && len > MOST_IN_MESSAGE
        {
            self.skip = len - body.len();
            self.messages = Vec::new();
        }
    }

    /// The next whole message, with its header.
    pub(super) fn message(&mut self) -> Option<Vec<u8>> {
        let rest = &self.messages[self.taken..];
        let (_, len, body) = message(rest)?;
        if body.len() < len {
            return None;
        }
        let found = rest[..HEADER + len].to_vec();
        self.taken += found.len();
        if self.taken == self.messages.len() {
            (self.messages, self.taken) = (Vec::new(), 0);
        }
        Some(found)
    }

    /// Memory beside itself.
    pub(super) fn held(&self) -> usize {
        self.messages.capacity()
    }
}
