//! What packets and connections add to what is kept of a service.

use super::table::{Direction, Service};
use crate::{
    evidence::Evidence,
    flow::Side,
    rules::tcp as rules,
    tcp::{Connection, Kind, Outcome, Segment},
};

impl Service {
    /// A packet that is worth a mention.
    pub(super) fn note(&mut self, direction: usize, segment: &Segment<'_>, outcome: &Outcome) {
        let (number, ns) = (segment.number, segment.ns);
        let of = &mut self.directions[direction];
        match outcome.kind {
            Kind::Resent(_) => of.resent.add(number, ns),
            Kind::Reordered => of.reordered.add(number, ns),
            Kind::Duplicate => of.doubled.add(number, ns),
            Kind::Copy | Kind::KeepAlive | Kind::WindowProbe | Kind::Data | Kind::Control => {}
        }
        if outcome.zero_window {
            of.closed.add(number, ns);
        }
        if outcome.fills_window {
            of.full.add(number, ns);
        }
        if outcome.late_ack {
            self.directions[1 - direction].late.add(number, ns);
        }
        let of = &mut self.directions[direction];
        if outcome.delayed_write {
            of.delayed_writes.add(number, ns);
        }
        if let Some(response_ns) = outcome.response_ns {
            self.response.add(response_ns);
            if response_ns >= rules::SLOW_ANSWER.ns() {
                self.slow_responses.add(number, ns);
            }
        }
    }

    /// A connection of it ends.
    pub(super) fn end(&mut self, connection: &Connection, number: u64) {
        self.connections += 1;
        self.duration_ns = self.duration_ns.saturating_add(connection.duration_ns());
        if let Some((to_answer, _)) = connection.handshake_ns {
            self.handshake.add(to_answer);
            let syns = connection.streams[connection.client.index()].syns;
            if to_answer >= rules::SLOW_HANDSHAKE.ns() || syns > 1 {
                self.slow_handshakes.add(number, connection.syn_ns);
                self.resent_syns += u64::from(syns > 1);
            }
        }
        for (direction, side) in [connection.client, connection.client.other()]
            .into_iter()
            .enumerate()
        {
            let of = &mut self.directions[direction];
            of.end(connection, side);
        }
        let Some(reset) = &connection.reset else {
            return;
        };
        let resets = &mut self.resets[usize::from(reset.by != connection.client)];
        let usual = reset.usual_ttl.unwrap_or(reset.ttl);
        let far = u64::from(reset.ttl.abs_diff(usual)) >= rules::ODD_TTL.count();
        if reset.is_mid && (far || reset.went_on) {
            resets.injected.add(reset.number, reset.ns);
            resets.ttls = (reset.ttl, usual);
            resets.went_on += u64::from(reset.went_on);
        } else if reset.is_mid {
            if let Some(seconds) = long_silence(connection).filter(|_| reset.after_idle) {
                let idle = &mut self.directions[usize::from(reset.by == connection.client)];
                idle.after_idle.add(reset.number, reset.ns);
                idle.idle_s = idle.idle_s.max(seconds);
                return;
            }
            resets.mid.add(reset.number, reset.ns);
            resets.open += u64::from(reset.is_open);
        }
    }
}

impl Direction {
    fn end(&mut self, connection: &Connection, side: Side) {
        let stream = &connection.streams[side.index()];
        let other = &connection.streams[side.other().index()];
        self.figures.add(&stream.figures());
        self.rtt.merge(&stream.rtt.histogram());
        self.seen_from = Some(connection.seen_from(side));
        let (closed, longest) = connection.closed_ns(side);
        self.closed_ns = self.closed_ns.saturating_add(closed);
        self.closed_longest_ns = self.closed_longest_ns.max(longest);
        self.busy_ns = self.busy_ns.saturating_add(stream.busy_ns);
        self.limited_ns = self.limited_ns.saturating_add(stream.limited_ns);
        self.window = self.window.max(other.window_max);
        let stuck = stream.stuck();
        if u64::from(stuck.resends) < rules::RESENDS_IN_VAIN.count() {
            return;
        }
        let (sent, arrived) = (stuck.len.min(stream.largest.max(1)), stream.largest_acked);
        let mut evidence = Evidence::of(stuck.first, stuck.first_ns);
        evidence.add(stuck.last, stuck.last_ns);
        let silence = long_silence(connection).filter(|_| connection.is_first_since_idle(side));
        if let Some(seconds) = silence {
            self.after_idle.merge(&evidence);
            self.idle_s = self.idle_s.max(seconds);
        } else if f64::from(sent) >= rules::FULL_SIZE.value && sent > arrived {
            self.too_large.merge(&evidence);
            self.sizes = (arrived.max(self.sizes.0), sent.max(self.sizes.1));
        } else {
            self.stuck.merge(&evidence);
        }
        if stuck.resends > self.worst.resends {
            self.worst = stuck;
        }
    }
}

/// Seconds of silence, where a box on the way may have forgotten the connection in them.
fn long_silence(connection: &Connection) -> Option<u32> {
    let seconds = connection.idle.map(|(_, seconds)| seconds);
    seconds.filter(|seconds| rules::IDLE.is_reached((*seconds).into()))
}
