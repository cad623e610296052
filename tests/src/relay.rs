//! A network with faults between two namespaces: a relay between two TAP devices, in user space, that loses, delays,
//! doubles and overtakes frames by a seed, and knows what it did. Kernels without netem have nothing else, and netem
//! keeps no log.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    io::{ErrorKind, Read as _, Write as _},
    os::fd::AsFd as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    netns::{HOST_IF, HOST_MAC, HOST4, HOST6, Netns, PEER_IF, PEER_MAC, PEER4, PEER6},
    random::Random,
    traffic::Tap,
};

/// What happens to the frames of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Share of the frames with data that are lost.
    pub loss: f64,
    /// Share of the frames without data that are lost.
    pub loss_of_acks: f64,
    /// Time that every frame takes.
    pub delay: Duration,
    /// Most that some take in addition, so that others overtake them.
    pub jitter: Duration,
    /// Share of those.
    pub jitter_share: f64,
    /// Share of the frames that arrive twice.
    pub doubled: f64,
    /// Longest IP packet that passes; longer ones disappear without a word.
    pub mtu: Option<usize>,
    /// From this number of frames with data on, nothing passes.
    pub ends_after: Option<u64>,
    /// Behind this frame with data comes a reset in the name of its sender, from a few hops away (IPv4 alone).
    pub reset_after: Option<u64>,
}

/// A frame of TCP that came into the relay.
#[derive(Clone, Copy, Debug)]
struct Frame {
    seq: u32,
    /// Sequence numbers that it takes.
    len: u32,
    resend: bool,
}

/// What was done in one direction.
#[derive(Debug, Default)]
pub struct Log {
    frames: Vec<Frame>,
    highest: HashMap<(u16, u16), u32>,
    /// Frames in the order in which they arrived, by their index; twice where they were doubled.
    arrived: Vec<usize>,
    /// Frames with data that were lost.
    pub lost: u64,
    /// Frames that were handed on twice.
    pub doubled: u64,
}

/// What somebody at the receiver must have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Segments that were sent again.
    pub resent: u64,
    /// Segments that came after others that were sent later.
    pub reordered: u64,
    /// Frames with data that came a second time.
    pub doubled: u64,
    /// Those without, which are known only by their IP identification.
    pub doubled_acks: u64,
}

impl Log {
    /// Segments with data that their sender sent again.
    pub fn resent(&self) -> u64 {
        self.frames.iter().filter(|frame| frame.resend).count() as u64
    }

    /// What somebody at the receiver must have seen.
    pub fn arrived(&self) -> Arrived {
        let mut arrived = Arrived::default();
        let mut known = HashSet::new();
        let mut highest: Option<u32> = None;
        for index in &self.arrived {
            let frame = self.frames[*index];
            if !known.insert(*index) {
                match frame.len {
                    0 => arrived.doubled_acks += 1,
                    _ => arrived.doubled += 1,
                }
                continue;
            }
            if frame.len == 0 {
                continue;
            }
            let is_old = highest.is_some_and(|highest| before(frame.seq, highest));
            if frame.resend && is_old {
                arrived.resent += 1;
            } else if is_old {
                arrived.reordered += 1;
            }
            let end = frame.seq.wrapping_add(frame.len);
            if highest.is_none_or(|highest| before(highest, end)) {
                highest = Some(end);
            }
        }
        arrived
    }

    fn enter(&mut self, frame: &[u8]) -> Option<(usize, bool)> {
        let tcp = Tcp::of(frame)?;
        let end = tcp.seq.wrapping_add(tcp.len);
        let highest = self.highest.entry(tcp.ports);
        let resend = match highest {
            std::collections::hash_map::Entry::Occupied(mut known) => {
                let old = tcp.len > 0 && before(tcp.seq, *known.get());
                if before(*known.get(), end) {
                    known.insert(end);
                }
                old
            }
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(end);
                false
            }
        };
        self.frames.push(Frame {
            seq: tcp.seq,
            len: tcp.len,
            resend,
        });
        Some((self.frames.len() - 1, tcp.len > 0))
    }
}

fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

struct Tcp {
    ports: (u16, u16),
    seq: u32,
    len: u32,
}

impl Tcp {
    /// TCP over IPv4 or IPv6 without options or extension headers, in Ethernet.
    fn of(frame: &[u8]) -> Option<Self> {
        let be16 = |at: usize| Some(u16::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let (at, carried) = match (be16(12)?, frame.get(14)?, frame.get(20)?, frame.get(23)?) {
            (0x0800, 0x45, _, 6) => (34, usize::from(be16(16)?).checked_sub(20)?),
            (0x86dd, _, 6, _) => (54, usize::from(be16(18)?)),
            _ => return None,
        };
        let header = usize::from(frame.get(at + 12)? >> 4) * 4;
        let flags = frame.get(at + 13)?;
        let control = u32::from(flags & 1) + u32::from(flags >> 1 & 1);
        Some(Self {
            ports: (be16(at)?, be16(at + 2)?),
            seq: u32::from(be16(at + 4)?) << 16 | u32::from(be16(at + 6)?),
            len: carried.checked_sub(header)? as u32 + control,
        })
    }
}

/// A reset that continues a segment of IPv4, with another time to live than its sender's.
fn forged_reset(frame: &[u8]) -> Vec<u8> {
    const RST_ACK: u8 = 0x14;
    let tcp = Tcp::of(frame).expect("a segment");
    let mut reset = frame[..54].to_vec();
    reset[16..18].copy_from_slice(&40u16.to_be_bytes());
    (reset[22], reset[24], reset[25]) = (250, 0, 0);
    let seq = tcp.seq.wrapping_add(tcp.len);
    reset[38..42].copy_from_slice(&seq.to_be_bytes());
    (reset[46], reset[47]) = (0x50, RST_ACK);
    reset[50..54].fill(0);
    let header = checksum(&reset[14..34], 0);
    reset[24..26].copy_from_slice(&header.to_be_bytes());
    // The pseudo header: both addresses, the protocol, the length.
    let pseudo = checksum(&reset[26..34], 6 + 20);
    let sum = checksum(&reset[34..54], u32::from(!pseudo));
    reset[50..52].copy_from_slice(&sum.to_be_bytes());
    reset
}

/// The checksum of RFC 1071.
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let pairs = bytes.chunks_exact(2);
    let sum: u32 = pairs
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let mut sum = start + sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A relay at work, between [`HOST_IF`] of `host` and [`PEER_IF`] of `peer`.
#[derive(Debug)]
pub struct Relay {
    /// One end, with [`HOST4`] and [`HOST6`].
    pub host: Netns,
    /// The other end.
    pub peer: Netns,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<[Log; 2]>>>,
}

impl Relay {
    /// Starts one; `faults` of what comes from the host, and from the peer.
    pub fn start(seed: u64, faults: [Faults; 2]) -> Self {
        let (host, peer) = (Netns::new(), Netns::new());
        let taps = [Tap::new(&host, HOST_IF), Tap::new(&peer, PEER_IF)];
        host.address(HOST_IF, HOST_MAC, HOST4, HOST6);
        peer.address(PEER_IF, PEER_MAC, PEER4, PEER6);
        for (to_peer, to_host) in [(PEER4, HOST4), (PEER6, HOST6)] {
            host.neighbour(HOST_IF, to_peer, PEER_MAC);
            peer.neighbour(PEER_IF, to_host, HOST_MAC);
        }
        for tap in &taps {
            let flags = FcntlArg::F_SETFL(OFlag::O_NONBLOCK);
            fcntl(tap.file().as_fd(), flags).expect("the device takes O_NONBLOCK");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            Worker {
                taps,
                faults,
                random: Random::new(seed),
                logs: Default::default(),
                waiting: BinaryHeap::new(),
                number: 0,
                data: [0; 2],
            }
            .run(&stopped)
        });
        Self {
            host,
            peer,
            stop,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Ends it, once: what was done with what came from the host, and from the peer.
    pub fn stop(&self) -> [Log; 2] {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().expect("nobody panicked with it").take();
        let thread = thread.expect("it is stopped once");
        thread.join().expect("the relay ends")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// When it is due, its place in the order of arrival, where from, its index in the log, its bytes.
type Waiting = Reverse<(Instant, u64, usize, Option<usize>, Vec<u8>)>;

struct Worker {
    taps: [Tap; 2],
    faults: [Faults; 2],
    random: Random,
    logs: [Log; 2],
    waiting: BinaryHeap<Waiting>,
    number: u64,
    data: [u64; 2],
}

impl Worker {
    fn run(mut self, stop: &AtomicBool) -> [Log; 2] {
        let mut buffer = vec![0; 65_536];
        while !stop.load(Ordering::Relaxed) {
            self.wait();
            for from in [0, 1] {
                while let Some(len) = self.read(from, &mut buffer) {
                    self.enter(from, &buffer[..len]);
                    self.deliver();
                }
            }
            self.deliver();
        }
        self.logs
    }

    fn wait(&self) {
        let due = self.waiting.peek().map(|Reverse((due, ..))| *due);
        let rest = due.map_or(Duration::from_millis(10), |due| {
            due.saturating_duration_since(Instant::now())
                .min(Duration::from_millis(10))
        });
        // Shorter than a millisecond is waited for by looking again.
        let timeout = PollTimeout::from(rest.as_millis() as u16);
        let [one, other] = &self.taps;
        let mut fds = [one, other].map(|tap| PollFd::new(tap.file().as_fd(), PollFlags::POLLIN));
        poll(&mut fds, timeout).expect("poll");
    }

    fn read(&self, from: usize, buffer: &mut [u8]) -> Option<usize> {
        match self.taps[from].file().read(buffer) {
            Ok(len) => Some(len),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the device cannot be read: {error}"),
        }
    }

    fn enter(&mut self, from: usize, frame: &[u8]) {
        let faults = self.faults[from];
        let entered = self.logs[from].enter(frame);
        let has_data = entered.is_some_and(|(_, has_data)| has_data);
        self.data[from] += u64::from(has_data);
        let loss = if has_data {
            faults.loss
        } else {
            faults.loss_of_acks
        };
        let is_long = faults.mtu.is_some_and(|mtu| frame.len() > mtu + 14);
        let is_over = faults.ends_after.is_some_and(|most| self.data[from] > most);
        if self.happens(loss) || is_long || is_over {
            self.logs[from].lost += u64::from(has_data);
            return;
        }
        if faults.reset_after == Some(self.data[from]) && has_data {
            self.number += 1;
            let due = Instant::now() + faults.delay + Duration::from_millis(1);
            let reset = forged_reset(frame);
            self.waiting
                .push(Reverse((due, self.number, from, None, reset)));
        }
        let copies = 1 + u64::from(self.happens(faults.doubled));
        self.logs[from].doubled += copies - 1;
        for _ in 0..copies {
            let mut due = Instant::now() + faults.delay;
            if self.happens(faults.jitter_share) {
                due += faults.jitter.mul_f64(self.share());
            }
            self.number += 1;
            let index = entered.map(|(index, _)| index);
            self.waiting
                .push(Reverse((due, self.number, from, index, frame.to_vec())));
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while self
            .waiting
            .peek()
            .is_some_and(|Reverse((due, ..))| *due <= now)
        {
            let Some(Reverse((_, _, from, index, frame))) = self.waiting.pop() else {
                return;
            };
            // An interface that is going down takes nothing.
            if self.taps[1 - from].file().write_all(&frame).is_ok()
                && let Some(index) = index
            {
                self.logs[from].arrived.push(index);
            }
        }
    }

    fn share(&mut self) -> f64 {
        (self.random.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.share() < probability
    }
}
