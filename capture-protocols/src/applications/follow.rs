//! One flow that is followed: the bytes of both ends, and the state of its protocol once that is known.

use crate::applications::{
    protocol::{At, Ending, Peer, Step},
    protocols::{Protocols, State},
    window::{Hole, Window},
};

/// Bytes of one end that must show its protocol, where the other end has said as much, or nothing.
const ENOUGH_TO_TELL: usize = 64;

/// Bytes of one end that must, whatever the other one has said.
const MORE_THAN_ENOUGH: usize = 1024;

/// What is given to a window at once: frames of an offload hold more than fits.
const PIECE: usize = 4096;

/// See above.
#[derive(Clone, Debug, Default)]
pub(super) struct Follow {
    windows: [Window; 2],
    pub(super) state: Option<State>,
    /// The end that spoke first.
    first: Option<Peer>,
    /// The end that said first that it is done.
    closed: Option<Peer>,
    /// Whether both ends were found to speak the protocol.
    is_confirmed: bool,
    /// Whether what was known had to give way to other flows.
    is_given_up: bool,
}

/// Whether a flow is of further interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// It is.
    Go,
    /// It is not, and that was its own wish or that of its protocol.
    Done,
    /// It is not, as something is missing.
    Lost,
}

impl Follow {
    /// Gives back all memory.
    pub(super) fn give_up(&mut self) {
        *self = Self {
            is_given_up: true,
            ..Self::default()
        };
    }

    /// Whether what was known had to give way to other flows.
    pub(super) fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Memory beside itself.
    pub(super) fn held(&self) -> usize {
        let windows = self.windows.iter().map(Window::held);
        windows.sum::<usize>() + self.state.as_ref().map_or(0, State::held)
    }

    /// After something was said by `from`: whether it is now clear, and was not before, that both ends speak the protocol.
    pub(super) fn confirms(&mut self, from: Peer) -> bool {
        let Some(state) = &self.state else {
            return false;
        };
        let is_new = !self.is_confirmed && from == Peer::Server && state.is_confirmed();
        self.is_confirmed |= is_new;
        is_new
    }

    /// Makes known where the bytes of an end begin.
    pub(super) fn start(&mut self, from: Peer, sequence: u32) {
        self.windows[from.index()].start(sequence);
    }

    /// Looks at the payload of a segment, of which `is_cut` says that the end is missing.
    pub(super) fn segment(
        &mut self,
        protocols: &mut Protocols,
        at: &At,
        from: Peer,
        sequence: u32,
        payload: &[u8],
        is_cut: bool,
    ) -> Interest {
        let mut sequence = sequence;
        for piece in payload.chunks(PIECE) {
            if self.windows[from.index()].push(sequence, piece) == Err(Hole) {
                return Interest::Lost;
            }
            self.first.get_or_insert(from);
            sequence = sequence.wrapping_add(piece.len() as u32);
            let interest = match self.state {
                Some(_) => self.deliver(protocols, at, from),
                None => self.tell(protocols, at),
            };
            if interest != Interest::Go {
                return interest;
            }
        }
        // What is left out anyway may be cut.
        if is_cut && !self.windows[from.index()].is_skipping() {
            return Interest::Lost;
        }
        Interest::Go
    }

    /// Finds the protocol out.
    fn tell(&mut self, protocols: &mut Protocols, at: &At) -> Interest {
        let [client, server] = [self.windows[0].ready(), self.windows[1].ready()];
        let (state, is_open) = protocols.guess([client, server]);
        self.state = state;
        if self.state.is_some() {
            let first = self.first.unwrap_or(Peer::Client);
            let second = match first {
                Peer::Client => Peer::Server,
                Peer::Server => Peer::Client,
            };
            return match self.deliver(protocols, at, first) {
                Interest::Go => self.deliver(protocols, at, second),
                other => other,
            };
        }
        let (less, more) = (
            client.len().min(server.len()),
            client.len().max(server.len()),
        );
        match is_open && less < ENOUGH_TO_TELL && more < MORE_THAN_ENOUGH {
            true => Interest::Go,
            false => Interest::Done,
        }
    }

    /// Gives what is in order to the protocol.
    fn deliver(&mut self, protocols: &mut Protocols, at: &At, from: Peer) -> Interest {
        let window = &mut self.windows[from.index()];
        let Some(state) = &mut self.state else {
            return Interest::Go;
        };
        while !window.ready().is_empty() {
            match protocols.bytes(state, at, from, window.ready()) {
                Step::More | Step::Take(0) => return Interest::Go,
                Step::Take(len) => window.take(len),
                Step::Restart => {
                    self.state = None;
                    return self.tell(protocols, at);
                }
                Step::Done => return Interest::Done,
            }
        }
        Interest::Go
    }

    /// Whether bytes of either end are awaited that others have overtaken.
    pub(super) fn has_hole(&self) -> bool {
        self.windows.iter().any(Window::has_hole)
    }

    /// Looks at a FIN or a RST behind the bytes up to `end`, and says how the flow ended if it did.
    pub(super) fn control(&mut self, from: Peer, end: u32, is_reset: bool) -> Option<Ending> {
        if self.has_hole() {
            return is_reset.then_some(Ending::Lost);
        }
        if is_reset {
            return Some(Ending::Reset(from));
        }
        if !self.windows[from.index()].ends_at(end) {
            return Some(Ending::Lost);
        }
        match self.closed {
            Some(first) if first != from => Some(Ending::Closed(first)),
            _ => {
                self.closed = Some(from);
                None
            }
        }
    }
}
