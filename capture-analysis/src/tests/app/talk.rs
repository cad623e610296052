//! Connections whose segments say what they are told to.

use crate::{
    decode::TcpFlags,
    testing::{Lab, MILLISECOND, tcp_frame},
};

pub(crate) const CLIENT: &str = "10.0.0.1";
pub(crate) const SERVER: &str = "10.0.0.2";

/// A connection in a capture.
pub(crate) struct Talk<'l> {
    lab: &'l mut Lab,
    ends: [(&'static str, u16); 2],
    next: [u32; 2],
    size: usize,
}

impl<'l> Talk<'l> {
    /// A connection that begins.
    pub(crate) fn new(lab: &'l mut Lab, client_port: u16, port: u16) -> Self {
        Self::between(lab, (CLIENT, client_port), (SERVER, port))
    }

    pub(crate) fn between(
        lab: &'l mut Lab,
        client: (&'static str, u16),
        server: (&'static str, u16),
    ) -> Self {
        let mut talk = Self {
            lab,
            ends: [client, server],
            next: [1000, 5000],
            size: 1400,
        };
        talk.segment(0, TcpFlags::SYN, b"");
        talk.next[0] += 1;
        talk.segment(1, TcpFlags::SYN | TcpFlags::ACK, b"");
        talk.next[1] += 1;
        talk.segment(0, TcpFlags::ACK, b"");
        talk
    }

    fn segment(&mut self, from: usize, flags: u16, payload: &[u8]) {
        let (source, destination) = (self.ends[from], self.ends[1 - from]);
        let mut frame = tcp_frame(source, destination, flags, self.next[from], payload);
        if flags & TcpFlags::ACK != 0 {
            frame[42..46].copy_from_slice(&self.next[1 - from].to_be_bytes());
        }
        self.next[from] += payload.len() as u32;
        self.lab.send(frame).wait(MILLISECOND);
    }

    /// With at most so many bytes in a segment.
    pub(super) fn in_pieces_of(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    fn data(&mut self, from: usize, payload: &[u8]) {
        for piece in payload.chunks(self.size) {
            self.segment(from, TcpFlags::ACK | TcpFlags::PSH, piece);
            self.segment(1 - from, TcpFlags::ACK, b"");
        }
    }

    /// The client says this.
    pub(crate) fn client(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.data(0, payload.as_ref());
        self
    }

    /// The server says this.
    pub(crate) fn server(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.data(1, payload.as_ref());
        self
    }

    /// So many bytes of this end are not in the capture.
    pub(crate) fn skip(mut self, from: usize, len: u32) -> Self {
        self.next[from] += len;
        self
    }

    /// This end says this, a byte in each segment, the last one first.
    pub(crate) fn swapped(mut self, from: usize, payload: &[u8]) -> Self {
        let start = self.next[from];
        for (place, byte) in payload.iter().enumerate().rev() {
            self.next[from] = start + place as u32;
            self.segment(from, TcpFlags::ACK | TcpFlags::PSH, &[*byte]);
        }
        self.next[from] = start + payload.len() as u32;
        self
    }

    /// Both say that they are done, the client first.
    pub(crate) fn close(self) {
        self.close_by(0);
    }

    /// Both say that they are done, this end first.
    pub(crate) fn close_by(mut self, first: usize) {
        self.segment(first, TcpFlags::ACK | TcpFlags::FIN, b"");
        self.next[first] += 1;
        self.segment(1 - first, TcpFlags::ACK | TcpFlags::FIN, b"");
        self.next[1 - first] += 1;
        self.segment(first, TcpFlags::ACK, b"");
    }

    /// This end resets it.
    pub(crate) fn reset(mut self, from: usize) {
        self.segment(from, TcpFlags::ACK | TcpFlags::RST, b"");
    }
}
