//! A TCP connection of the mixture, captured at its client: handshake, messages with losses of the network and what the ends do
//! about them, and the end.

use capture_tests::random::Random;

use super::packet::{Content, From, Packet, Payload, Segment, What};

const MSS: u32 = 1448;
const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000_000;

const FIN: u8 = 1;
const SYN: u8 = 2;
const PSH: u8 = 8;
const ACK: u8 = 16;

/// Of this many full segments one is lost, and one comes behind the next.
const LOST: usize = 300;
const OVERTAKEN: usize = 2000;

/// A connection under way.
pub(crate) struct Session<'a> {
    out: &'a mut Vec<Packet>,
    random: &'a mut Random,
    flow: u32,
    ns: u64,
    round_trip_ns: u64,
    /// The next sequence numbers of both ends.
    next: [u32; 2],
    window: u32,
}

impl<'a> Session<'a> {
    /// Opens one.
    pub(crate) fn open(
        out: &'a mut Vec<Packet>,
        random: &'a mut Random,
        flow: u32,
        ns: u64,
    ) -> Self {
        let round_trip_ns = (500 + random.below(40_000) as u64) * MICROSECOND;
        let mut session = Self {
            out,
            random,
            flow,
            ns,
            round_trip_ns,
            next: [0, 0],
            window: 10,
        };
        session.emit(0, From::Client, SYN, None, Payload::empty());
        session.next[0] = 1;
        session.ns += round_trip_ns;
        session.emit(0, From::Server, SYN | ACK, None, Payload::empty());
        session.next[1] = 1;
        session.ns += 30 * MICROSECOND;
        session.acknowledge(From::Client, 0, None);
        session
    }

    /// One end sends a message.
    pub(crate) fn send(&mut self, from: From, content: Content, total: u32) {
        let mut at = 0;
        while at < total {
            at = self.flight(from, content, total, at);
            self.window = (self.window * 2).min(64);
        }
        self.ns += 200 * MICROSECOND;
    }

    /// Waits, as an application does.
    pub(crate) fn wait(&mut self, most_ms: usize) {
        self.ns += self.random.below(most_ms * 1000) as u64 * MICROSECOND;
    }

    /// Closes it.
    pub(crate) fn close(mut self) {
        for from in [From::Client, From::Server] {
            self.emit(0, from, FIN | ACK, None, Payload::empty());
            self.next[from as usize] += 1;
            self.ns += self.round_trip_ns;
        }
        self.acknowledge(From::Client, 0, None);
    }

    /// Segments of one round trip; where the message is then.
    fn flight(&mut self, from: From, content: Content, total: u32, mut at: u32) -> u32 {
        let mut hole = None;
        for index in 0..self.window {
            let len = (total - at).min(MSS);
            if len == 0 {
                break;
            }
            self.ns += (15 + self.random.below(20) as u64) * MICROSECOND;
            let payload = Payload {
                content,
                total,
                at,
                len: len as u16,
            };
            let seq = self.next[from as usize];
            let is_last = at + len == total;
            let is_lost = len == MSS && !is_last && hole.is_none() && self.random.one_in(LOST);
            // What is lost on its way to the client was never seen there.
            if !is_lost || from == From::Client {
                let late = match self.random.one_in(OVERTAKEN) {
                    true => 40 * MICROSECOND,
                    false => 0,
                };
                self.emit(
                    late,
                    from,
                    if is_last { ACK | PSH } else { ACK },
                    None,
                    payload,
                );
            }
            self.next[from as usize] += len;
            at += len;
            if is_lost {
                hole = Some((seq, payload));
            } else if let Some((start, _)) = hole {
                let behind = (start + MSS, seq + len);
                self.acknowledge_at(from.other(), self.delay(from), start, Some(behind));
            } else if index % 2 == 1 || is_last {
                self.acknowledge(from.other(), self.delay(from), None);
            }
        }
        self.ns += self.round_trip_ns;
        if let Some((seq, payload)) = hole {
            // Without enough behind it the timer has to tell.
            if self.next[from as usize] - seq < 4 * MSS {
                self.ns += 210 * MILLISECOND;
            }
            let next = std::mem::replace(&mut self.next[from as usize], seq);
            self.emit(0, from, ACK, None, payload);
            self.next[from as usize] = next;
            self.acknowledge(from.other(), self.delay(from), None);
            self.ns += self.round_trip_ns;
        }
        at
    }

    /// How long after a segment its acknowledgement is seen.
    fn delay(&self, from: From) -> u64 {
        match from {
            From::Client => self.round_trip_ns,
            From::Server => 10 * MICROSECOND,
        }
    }

    fn acknowledge(&mut self, from: From, delay: u64, sack: Option<(u32, u32)>) {
        let ack = self.next[from.other() as usize];
        self.acknowledge_at(from, delay, ack, sack);
    }

    fn acknowledge_at(&mut self, from: From, delay: u64, ack: u32, sack: Option<(u32, u32)>) {
        let other = from.other() as usize;
        let next = std::mem::replace(&mut self.next[other], ack);
        self.emit(delay, from, ACK, sack, Payload::empty());
        self.next[other] = next;
    }

    fn emit(
        &mut self,
        delay: u64,
        from: From,
        flags: u8,
        sack: Option<(u32, u32)>,
        payload: Payload,
    ) {
        let ns = self.ns + delay;
        // The clock of each end is seen as late as its packets are.
        let sent = match from {
            From::Client => ns,
            From::Server => ns - self.round_trip_ns.min(ns) / 2,
        };
        let echo = sent.saturating_sub(self.round_trip_ns / 2);
        let ms = |ns: u64| (ns / MILLISECOND) as u32;
        self.out.push(Packet {
            ns,
            flow: self.flow,
            from,
            what: What::Tcp(Segment {
                seq: self.next[from as usize],
                ack: self.next[from.other() as usize],
                flags,
                ts: (ms(sent), ms(echo)),
                sack,
                payload,
            }),
        });
    }
}
