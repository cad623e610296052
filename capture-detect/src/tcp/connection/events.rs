//! What happens to a connection as a whole: how it begins and is reset, windows that close, requests and answers.

use super::{
    Connection, Outcome,
    state::{Closed, Reset},
};
use crate::{
    decode::TcpFlags,
    flow::Side,
    tcp::{Segment, figures::Kind, recoveries::Recoveries, sequence::after, stream::add},
};

/// A sender that only waited for the acknowledgement goes on within this.
const AT_ONCE_NS: u64 = 5_000_000;

impl Connection {
    pub(super) fn syn(
        &mut self,
        side: Side,
        segment: &Segment<'_>,
        established: &mut bool,
        recoveries: &mut Recoveries,
    ) -> Kind {
        let kind = self.streams[side.index()].syn(segment);
        self.streams[side.index()].window = u32::from(segment.tcp.window);
        if segment.is(TcpFlags::ACK) {
            self.client = side.other();
            if self.syn_ack_ns == 0 {
                self.syn_ack_ns = segment.ns;
                *established = true;
            }
            let client = &mut self.streams[side.other().index()];
            client.acknowledge(segment, false, recoveries);
        } else {
            self.client = side;
            if self.syn_ns == 0 {
                self.syn_ns = segment.ns;
            }
            self.last_syn_ns = segment.ns;
        }
        kind
    }

    #[cold]
    pub(super) fn reset(&mut self, side: Side, segment: &Segment<'_>) {
        let own = &mut self.streams[side.index()];
        add(&mut own.counts.resets, 1);
        if self.reset.is_some() {
            return;
        }
        let usual_ttl = own.ttl;
        let [low, high] = &self.streams;
        let has_data = low.largest > 0 || high.largest > 0;
        let outstanding = low.in_flight() > 0 || high.in_flight() > 0;
        let after_idle = self.is_first_since_idle(side.other());
        self.reset = Some(Box::new(Reset {
            number: segment.number,
            ns: segment.ns,
            by: side,
            ttl: segment.ttl,
            usual_ttl,
            is_mid: has_data && !low.fin && !high.fin,
            is_open: outstanding || self.request_ns > 0,
            after_idle,
            went_on: false,
            end: segment.end,
        }));
    }

    /// Whether a window is closed by this.
    #[inline]
    pub(super) fn window(&mut self, side: Side, window: u32, segment: &Segment<'_>) -> bool {
        let is_closed = window == 0 && !segment.is(TcpFlags::RST | TcpFlags::FIN);
        if !is_closed && self.closed.is_none() {
            return false;
        }
        let closed = &mut self.closed.get_or_insert_default()[side.index()];
        if is_closed {
            add(&mut self.streams[side.index()].counts.zero_window, 1);
            if closed.since_ns == 0 {
                closed.since_ns = segment.ns;
            }
        } else if closed.since_ns > 0 {
            let time = segment.ns.saturating_sub(closed.since_ns);
            closed.since_ns = 0;
            closed.all_ns = closed.all_ns.saturating_add(time);
            closed.longest_ns = closed.longest_ns.max(time);
        }
        is_closed
    }

    pub(super) fn payload(&mut self, side: Side, segment: &Segment<'_>, outcome: &mut Outcome) {
        if outcome.kind != Kind::Data {
            return;
        }
        if segment.len >= self.mss(side) {
            self.streams[side.other().index()].echoed(segment);
        }
        let room = self.streams[side.other().index()].window;
        let own = &self.streams[side.index()];
        outcome.fills_window = room > 0 && own.in_flight().saturating_add(own.largest) > room;
        let delayed = std::mem::take(&mut self.delayed_ns[side.index()]);
        if delayed > 0 {
            let waited = segment.ns.saturating_sub(delayed);
            if waited <= AT_ONCE_NS.saturating_add(self.round_trip_ns())
                && segment.len < self.mss(side)
            {
                add(
                    &mut self.streams[side.index()].figures_mut().delayed_writes,
                    1,
                );
                outcome.delayed_write = true;
            }
        }
        if side == self.client {
            self.request_ns = segment.ns;
        } else if self.request_ns > 0 {
            outcome.response_ns = Some(segment.ns.saturating_sub(self.request_ns));
            self.request_ns = 0;
        }
        if let Some(reset) = &mut self.reset
            && reset.by == side
            && after(segment.end, reset.end)
        {
            reset.went_on = true;
        }
    }

    /// How long the window of this side was closed in all, and at longest, until the latest packet.
    pub fn closed_ns(&self, side: Side) -> (u64, u64) {
        let closed = self
            .closed
            .as_ref()
            .map_or_else(Closed::default, |both| both[side.index()]);
        let open = match closed.since_ns {
            0 => 0,
            since => self.last_ns.saturating_sub(since),
        };
        (
            closed.all_ns.saturating_add(open),
            closed.longest_ns.max(open),
        )
    }
}
