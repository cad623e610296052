//! The generator: live frames of `BPF_PROG_TEST_RUN` that a small XDP program sends back out of the
//! interface they seem to have come from. Frames are made in the kernel without a system call or a
//! socket buffer each, so the rate is that of the receiving side; and since veth receives on the CPU
//! that sends, no queue between the two overflows: what slows the receiver slows the sender.
//!
//! A call takes some 15 ms to set up and to end, however few its frames. So calls are long, and a set
//! rate is kept by the program itself, which lets each frame wait for its time.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use capture_tests::{
    bpf::{self, Array, AttachType, Instruction, ProgramType},
    netns::Netns,
    traffic::{self, Ipv4, UDP},
};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

use crate::{
    case::{Frames, Share},
    interrupt,
};

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// tc ingress, by TCX (Linux 6.6).
    Tc,
    /// Native XDP.
    Xdp,
}

/// UDP destination port of frames that match.
pub(crate) const MATCHING_PORT: u16 = 443;
/// And of those that do not.
const OTHER_PORT: u16 = 9;
const SOURCE_PORT: u16 = 40_000;

/// Entries of the schedule, which repeats: one in a hundred can match, and all sizes of a mix
/// have their share.
const SCHEDULE: usize = 1200;
/// Bytes of an entry, a power of two.
const ENTRY: usize = 16;
/// Where the entries begin. Before stand, as 64-bit numbers, the position in the schedule, the time of
/// the last frame and the nanoseconds between two frames, 0 for none.
const ENTRIES: usize = 32;

/// Frames of the first call at the highest rate, which tells how many the others take.
const FIRST_CALL: u64 = 50_000;
/// Most time that a call should take.
const LONGEST_CALL: Duration = Duration::from_millis(1000);

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// As the receiving side lets it.
    Highest,
    /// Frames a second.
    Set(f64),
}

/// When it is enough: what comes first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amount {
    pub(crate) time: Duration,
    pub(crate) frames: u64,
}

/// A program with its schedule.
pub(crate) struct Generator {
    program: OwnedFd,
    frame: Vec<u8>,
    rate: Rate,
}

/// A frame of the schedule, in the layout that the program reads.
struct Entry {
    cut: u32,
    total_length: u16,
    checksum: u16,
    port: u16,
    udp_length: u16,
}

impl Generator {
    /// Loads the program for these frames.
    pub(crate) fn new(frames: Frames, share: Share, rate: Rate) -> Result<Self> {
        let longest = frames.longest();
        let interval_ns = match rate {
            Rate::Highest => 0,
            Rate::Set(rate) => (1e9 / rate) as u64,
        };
        let mut table = vec![0; ENTRIES];
        table[16..24].copy_from_slice(&interval_ns.to_ne_bytes());
        for number in 0..SCHEDULE {
            let port = if share.matches(number) {
                MATCHING_PORT
            } else {
                OTHER_PORT
            };
            let len = frames.len_at(number);
            Entry::new(&frame(len, port), longest - len).append_to(&mut table);
        }
        let global = Array::new(table.len(), 1).context("making the generator's table")?;
        global
            .set(0, &table)
            .context("filling the generator's table")?;
        Ok(Self {
            program: load(Hook::Xdp, &program(global.fd()))?,
            frame: frame(longest, OTHER_PORT),
            rate,
        })
    }

    /// Sends from an interface of a namespace, on one CPU, and gives the seconds it took, without
    /// those between the calls.
    pub(crate) fn send(
        &self,
        from: &Netns,
        interface: &str,
        cpu: usize,
        amount: Amount,
    ) -> Result<f64> {
        from.within(|| {
            pin(cpu)?;
            let ifindex = nix::net::if_::if_nametoindex(interface)
                .with_context(|| format!("no interface {interface}"))?;
            self.send_here(ifindex, amount)
        })
    }

    fn send_here(&self, ifindex: u32, amount: Amount) -> Result<f64> {
        let started = Instant::now();
        let (mut sent, mut seconds) = (0_u64, 0.0);
        loop {
            let left = amount.time.saturating_sub(started.elapsed());
            if sent >= amount.frames || left < amount.time / 50 {
                return Ok(seconds);
            }
            let time = left.min(LONGEST_CALL).as_secs_f64();
            let repeat = match self.rate {
                Rate::Set(rate) => (rate * time) as u64 + 1,
                Rate::Highest if sent > 0 => (sent as f64 / seconds * time) as u64 + 1,
                Rate::Highest => FIRST_CALL,
            };
            let repeat = repeat.min(amount.frames - sent) as u32;
            interrupt::check()?;
            let ns = bpf::run_live(&self.program, ifindex, &self.frame, repeat).context(
                "the kernel does not run programs on live frames; the benchmark needs Linux 5.18",
            )?;
            sent += u64::from(repeat);
            seconds += f64::from(ns) * f64::from(repeat) / 1e9;
        }
    }
}

impl Entry {
    /// What a frame has that differs from the longest one, of which so many bytes are cut.
    fn new(frame: &[u8], cut: usize) -> Self {
        let field = |at: usize| u16::from_ne_bytes([frame[at], frame[at + 1]]);
        Self {
            cut: cut as u32,
            total_length: field(16),
            checksum: field(24),
            port: field(36),
            udp_length: field(38),
        }
    }

    fn append_to(&self, table: &mut Vec<u8>) {
        table.extend(self.cut.to_ne_bytes());
        for field in [
            self.total_length,
            self.checksum,
            self.port,
            self.udp_length,
            0,
            0,
        ] {
            table.extend(field.to_ne_bytes());
        }
    }
}

/// A UDP frame so long in all, to a station that nobody is: the receiving stack drops it.
fn frame(len: usize, port: u16) -> Vec<u8> {
    let payload = traffic::numbered(0, len - 42);
    Ipv4::new("10.0.0.2", "10.0.0.3", UDP).frame(&traffic::udp(SOURCE_PORT, port, &payload))
}

/// Pins the calling thread to a CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot run on CPU {cpu}"))
}

/// The first two CPUs that this process may use: for the sender and for the capture.
pub(crate) fn two_cpus() -> Result<[usize; 2]> {
    let set = nix::sched::sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
    match (cpus.next(), cpus.next()) {
        (Some(sender), Some(capture)) => Ok([sender, capture]),
        _ => bail!("the benchmark needs two CPUs, one to send and one to capture"),
    }
}

fn load(hook: Hook, program: &[Instruction]) -> Result<OwnedFd> {
    let kind = match hook {
        Hook::Tc => ProgramType::Tc,
        Hook::Xdp => ProgramType::Xdp,
    };
    bpf::load(kind, 0, program).context("the kernel refuses a program of the benchmark")
}

/// Attaches a program that lets everything pass, as long as what is returned is open.
pub(crate) fn attach_empty(hook: Hook, to: &Netns, interface: &str) -> Result<OwnedFd> {
    // TCX_NEXT, XDP_PASS.
    let verdict = match hook {
        Hook::Tc => -1,
        Hook::Xdp => 2,
    };
    let program = load(hook, &[op(0xb7, 0, 0, 0, verdict), op(0x95, 0, 0, 0, 0)])?;
    to.within(|| {
        let ifindex = nix::net::if_::if_nametoindex(interface)
            .with_context(|| format!("no interface {interface}"))?;
        // XDP_FLAGS_DRV_MODE.
        let (attach_type, flags) = match hook {
            Hook::Tc => (AttachType::TcxIngress, 0),
            Hook::Xdp => (AttachType::Xdp, 4),
        };
        bpf::link(&program, ifindex, attach_type, flags).context("cannot attach an empty program")
    })
}

/// Waits for the time of the frame where a rate is set, takes the next entry of the schedule, makes the
/// frame what it says, and sends it out of the interface that it came from.
fn program(table: i32) -> Vec<Instruction> {
    const BPF_KTIME_GET_NS: i32 = 5;
    const BPF_XDP_ADJUST_TAIL: i32 = 65;
    const XDP_TX: i32 = 3;
    // A frame that is later than this is not made up for, so that there are no bursts.
    const LATE_NS: i32 = 1_000_000;
    // Most looks at the clock: the verifier follows no more jumps. Some 100 us, for 10,000 frames a
    // second.
    const LOOKS: i32 = 4000;
    // Registers: 6 the context, 7 the table and then the entry, 8 the position, 9 looks.
    vec![
        op(0xbf, 6, 1, 0, 0),     // r6 = r1
        op(0x18, 7, 2, 0, table), // r7 = the table's value
        op(0, 0, 0, 0, 0),
        op(0x79, 9, 7, 16, 0), // r9 = interval
        op(0x15, 9, 0, 15, 0), // if r9 == 0 skip the wait
        op(0x85, 0, 0, 0, BPF_KTIME_GET_NS),
        op(0x79, 1, 7, 8, 0),       // r1 = last
        op(0x0f, 1, 9, 0, 0),       // r1 += r9
        op(0xbf, 2, 0, 0, 0),       // r2 = r0
        op(0x17, 2, 0, 0, LATE_NS), // r2 -= LATE_NS
        op(0x3d, 1, 2, 1, 0),       // if r1 >= r2 skip 1
        op(0xbf, 1, 0, 0, 0),       // r1 = r0
        op(0x7b, 7, 1, 8, 0),       // last = r1
        op(0xb7, 9, 0, 0, 0),       // r9 = 0
        op(0x35, 9, 0, 5, LOOKS),   // if r9 >= LOOKS leave the loop
        op(0x07, 9, 0, 0, 1),       // r9 += 1
        op(0x79, 1, 7, 8, 0),       // r1 = last
        op(0x3d, 0, 1, 2, 0),       // if r0 >= r1 leave the loop
        op(0x85, 0, 0, 0, BPF_KTIME_GET_NS),
        op(0x05, 0, 0, -6, 0),                   // once more
        op(0x79, 8, 7, 0, 0),                    // r8 = position
        op(0xa5, 8, 0, 1, SCHEDULE as i32),      // if r8 < SCHEDULE skip 1
        op(0xb7, 8, 0, 0, 0),                    // r8 = 0
        op(0xbf, 1, 8, 0, 0),                    // r1 = r8
        op(0x07, 1, 0, 0, 1),                    // r1 += 1
        op(0x7b, 7, 1, 0, 0),                    // position = r1
        op(0x67, 8, 0, 0, ENTRY.ilog2() as i32), // r8 <<= 4
        op(0x0f, 7, 8, 0, 0),                    // r7 += r8
        op(0x07, 7, 0, 0, ENTRIES as i32),       // r7 += ENTRIES
        op(0x61, 2, 7, 0, 0),                    // r2 = entry.cut
        op(0x15, 2, 0, 3, 0),                    // if r2 == 0 skip 3
        op(0x87, 2, 0, 0, 0),                    // r2 = -r2
        op(0xbf, 1, 6, 0, 0),                    // r1 = r6
        op(0x85, 0, 0, 0, BPF_XDP_ADJUST_TAIL),
        op(0x61, 1, 6, 0, 0),  // r1 = data
        op(0x61, 2, 6, 4, 0),  // r2 = data_end
        op(0xbf, 3, 1, 0, 0),  // r3 = r1
        op(0x07, 3, 0, 0, 42), // r3 += 42
        op(0x2d, 3, 2, 8, 0),  // if r3 > r2 skip 8
        op(0x69, 4, 7, 4, 0),  // total length of IP
        op(0x6b, 1, 4, 16, 0),
        op(0x69, 4, 7, 6, 0), // its checksum
        op(0x6b, 1, 4, 24, 0),
        op(0x69, 4, 7, 8, 0), // destination port
        op(0x6b, 1, 4, 36, 0),
        op(0x69, 4, 7, 10, 0), // length of UDP
        op(0x6b, 1, 4, 38, 0),
        op(0xb7, 0, 0, 0, XDP_TX), // r0 = XDP_TX
        op(0x95, 0, 0, 0, 0),      // exit
    ]
}

const fn op(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction::new(code, destination, source, offset, immediate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_the_fields_where_the_program_reads_them() {
        let mut table = Vec::new();
        Entry::new(&frame(64, MATCHING_PORT), 1450).append_to(&mut table);
        assert_eq!(table.len(), ENTRY);
        assert_eq!(table[..4], 1450_u32.to_ne_bytes());
        assert_eq!(table[4..6], 50_u16.to_be_bytes());
        assert_eq!(table[8..10], MATCHING_PORT.to_be_bytes());
        assert_eq!(table[10..12], 30_u16.to_be_bytes());
    }

    #[test]
    fn a_frame_is_as_long_as_it_should_be() {
        for len in [64, 512, 1514] {
            assert_eq!(frame(len, 1).len(), len);
        }
    }
}
