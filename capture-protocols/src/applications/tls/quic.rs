//! The handshake in Initial packets of QUIC.

use crate::app::quic::{Frame, Keys, Kind, Packet, Sender, frames};
use crate::applications::{protocol::Peer, tls::stream::Stream, window::Window};

/// Most packets of a connection that are decrypted. A ClientHello takes one or two, an answer one to three.
const MOST_PACKETS: u32 = 16;

/// Error codes that are alerts of TLS (RFC 9001 section 4.8).
const ALERTS: std::ops::Range<u64> = 0x100..0x200;

/// What is known of a connection over QUIC.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// The identifier in the first packet of the client, which keys are made of.
    id: Vec<u8>,
    packets: u32,
    windows: [Window; 2],
}

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Initial packets were in it.
    Initial,
    /// There were none.
    Other,
    /// It ends the connection, by this alert if TLS is why.
    Close(Option<u8>),
    /// So many were read that no more are.
    Enough,
}

impl State {
    /// Looks at a datagram, and adds what it says of the handshake to the stream of its sender.
    pub(super) fn read(&mut self, from: Peer, payload: &[u8], streams: &mut [Stream; 2]) -> Read {
        let mut read = Read::Other;
        for packet in Packet::all(payload) {
            match packet.kind {
                Kind::Initial => read = Read::Initial,
                // The client begins anew, with what the server chose (RFC 9001 section 5.2).
                Kind::Retry if from == Peer::Server => {
                    self.id = packet.source.to_vec();
                    return Read::Initial;
                }
                _ => continue,
            }
            if self.packets >= MOST_PACKETS {
                return Read::Enough;
            }
            self.packets += 1;
            if self.id.is_empty() && from == Peer::Client {
                self.id = packet.destination.to_vec();
            }
            let Some(content) = self.open(&packet, from) else {
                continue;
            };
            for frame in frames(&content) {
                match frame {
                    Frame::Crypto { offset, data } => self.add(from, offset, data, streams),
                    Frame::Close { code } => {
                        let is_alert = ALERTS.contains(&code);
                        return Read::Close(is_alert.then_some((code - ALERTS.start) as u8));
                    }
                }
            }
        }
        read
    }

    /// Memory beside itself.
    pub(super) fn held(&self) -> usize {
        let windows = self.windows.iter().map(Window::held);
        self.id.capacity() + windows.sum::<usize>()
    }

    /// The content of a packet.
    fn open(&self, packet: &Packet<'_>, from: Peer) -> Option<Vec<u8>> {
        let sender = match from {
            Peer::Client => Sender::Client,
            Peer::Server => Sender::Server,
        };
        Keys::new(packet.version, &self.id, sender)?.open(packet)
    }

    /// A part of the handshake, from any place of it.
    fn add(&mut self, from: Peer, offset: u64, data: &[u8], streams: &mut [Stream; 2]) {
        let window = &mut self.windows[from.index()];
        window.start(0);
        let Ok(offset) = u32::try_from(offset) else {
            return;
        };
        if window.push(offset, data).is_ok() {
            streams[from.index()].add(window.ready());
            window.take(window.ready().len());
        }
    }
}
