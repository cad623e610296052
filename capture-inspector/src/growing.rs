//! A capture that grows, while it is read: one file, or several of a rotation, each of which goes on where the one before
//! it has ended.

use std::{
    fs::File,
    io::Read,
    time::{Duration, Instant},
};

use capture_file::read::{Error, Item, Reader};

use crate::{
    Analysis, AnalyzedFile,
    feed::Funnel,
    findings::{AnalysisState, Findings, Skipped, WasRead},
    origin::Origin,
};

/// How long a growing file is read for before packets are left out, and how long before an answer is given however much
/// there still is. Answers are asked for every second.
const SKIP_AFTER: Duration = Duration::from_millis(400);
const PAUSE_AFTER: Duration = Duration::from_millis(700);

/// Packets between two looks at the clock.
const PACKETS_A_LOOK: u32 = 256;

/// Stretches of skipped seconds that are told apart.
const MAX_SKIPPED: usize = 64;

const SECOND_NS: u64 = 1_000_000_000;

/// A capture so far.
pub(crate) struct Growing<R: Read = File> {
    taken: Taken,
    files: Vec<AnalyzedFile>,
    followed: Option<Followed<R>>,
}

/// What was taken of it.
#[derive(Default)]
struct Taken {
    funnel: Funnel,
    skipped: Vec<Skipped>,
}

/// The file that grows, which is the last of `files`.
struct Followed<R: Read> {
    reader: Reader<R>,
    origin: Origin,
    /// Set while packets are left out.
    gap: Option<Gap>,
    damage: Option<Error>,
}

/// Whole seconds of packets are left out, from the next on, until the end of the file was seen.
#[derive(Clone, Copy, Debug)]
struct Gap {
    since: u64,
    /// The last second of which packets were left out.
    last: u64,
    is_end_seen: bool,
}

impl<R: Read> Default for Growing<R> {
    fn default() -> Self {
        Self {
            taken: Taken::default(),
            files: Vec::new(),
            followed: None,
        }
    }
}

impl<R: Read> Growing<R> {
    /// Follows a file from now on; the one before it has come to its end. What is there is read by
    /// [`Growing::catch_up`]. `index` is its place where there may be several.
    pub(crate) fn follow(&mut self, name: String, file: R, index: Option<u16>) {
        self.complete();
        self.files.push(AnalyzedFile {
            name,
            packets: 0,
            damage: None,
        });
        self.followed = Some(Followed {
            reader: Reader::following(file),
            origin: index.map_or_else(Origin::default, Origin::of_file),
            gap: None,
            damage: None,
        });
    }

    /// Reads what the growing file has got. After damage nothing more is read of it.
    pub(crate) fn catch_up(&mut self) {
        let began = Instant::now();
        self.catch_up_within(|| began.elapsed());
    }

    fn catch_up_within(&mut self, elapsed: impl Fn() -> Duration) {
        let Some(followed) = &mut self.followed else {
            return;
        };
        if followed.damage.is_none() {
            let read = followed.catch_up(&mut self.taken, elapsed);
            followed.damage = read.err();
        }
        note(&mut self.files, followed);
    }

    /// Reads the growing file to its end, which has come.
    pub(crate) fn complete(&mut self) -> Option<WasRead> {
        let mut followed = self.followed.take()?;
        followed.reader.stop_following();
        while followed.damage.is_none() {
            match followed.reader.next() {
                Ok(Some(item)) => self
                    .taken
                    .take(&mut followed.origin, &mut followed.gap, item),
                Ok(None) => break,
                Err(error) => followed.damage = Some(error),
            }
        }
        note(&mut self.files, &followed);
        self.taken.funnel.end(followed.origin);
        let last = self.files.last()?;
        Some(WasRead {
            packets: last.packets,
            damage: last.damage.clone(),
        })
    }

    /// What there is to say.
    pub(crate) fn findings(&self, state: AnalysisState) -> Findings {
        Findings {
            state,
            skipped: self.taken.skipped.clone(),
            shortened: false,
            analysis: Analysis {
                files: self.files.clone(),
                report: self.taken.funnel.report(),
                engines: Vec::new(),
                comparison: None,
            },
        }
    }
}

/// What was read of the file that is followed.
fn note<R: Read>(files: &mut [AnalyzedFile], followed: &Followed<R>) {
    if let Some(file) = files.last_mut() {
        file.packets = followed.reader.packets();
        file.damage = followed.damage.as_ref().map(ToString::to_string);
    }
}

impl<R: Read> Followed<R> {
    fn catch_up(&mut self, taken: &mut Taken, elapsed: impl Fn() -> Duration) -> Result<(), Error> {
        let mut to_look = PACKETS_A_LOOK;
        while let Some(item) = self.reader.next()? {
            if let Item::Pending = item {
                if let Some(gap) = &mut self.gap {
                    gap.is_end_seen = true;
                }
                return Ok(());
            }
            taken.take(&mut self.origin, &mut self.gap, item);
            to_look -= 1;
            if to_look > 0 {
                continue;
            }
            to_look = PACKETS_A_LOOK;
            let elapsed = elapsed();
            if elapsed > PAUSE_AFTER {
                return Ok(());
            }
            if elapsed > SKIP_AFTER && self.gap.is_none() {
                let since = self.origin.last_ns / SECOND_NS + 1;
                self.gap = Some(Gap {
                    since,
                    last: since - 1,
                    is_end_seen: false,
                });
            }
        }
        Ok(())
    }
}

impl Taken {
    /// Takes what was read, or leaves it out while there is a gap.
    #[inline]
    fn take(&mut self, origin: &mut Origin, gap: &mut Option<Gap>, item: Item<'_>) {
        let packet = match item {
            Item::Packet(packet) => packet,
            other => return self.funnel.describe(origin, other),
        };
        if let Some(open) = gap {
            let second = packet.timestamp_ns.unwrap_or_default() / SECOND_NS;
            if second >= open.since && !(open.is_end_seen && second > open.last) {
                self.skip(open, second);
                return self.funnel.skip(origin, &packet);
            }
            if second >= open.since {
                *gap = None;
            }
        }
        let packet = self.funnel.packet_of(origin, &packet);
        self.funnel.packet(&packet);
    }

    fn skip(&mut self, gap: &mut Gap, second: u64) {
        gap.last = gap.last.max(second);
        let until = gap.last + 1;
        let is_full = self.skipped.len() >= MAX_SKIPPED;
        match self.skipped.last_mut() {
            Some(last) if is_full || last.since == gap.since => {
                last.until = until;
                last.packets += 1;
            }
            _ => self.skipped.push(Skipped {
                since: gap.since,
                until,
                packets: 1,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::testing::{Pcap, SECONDS, udp};

    /// A hundred packets a second for so many seconds.
    fn busy(seconds: u64) -> Pcap {
        let mut pcap = Pcap::new();
        for n in 0..seconds * 100 {
            pcap.frame(n * 10, &udp());
        }
        pcap
    }

    /// A clock that goes on by so many milliseconds at each look.
    fn clock(step_ms: u64) -> impl Fn() -> Duration {
        let ms = Cell::new(0);
        move || {
            ms.set(ms.get() + step_ms);
            Duration::from_millis(ms.get())
        }
    }

    #[test]
    fn what_comes_slowly_enough_is_all_looked_at() {
        let pcap = busy(100);
        let mut capture = Growing::default();
        capture.follow("a".to_owned(), &pcap.0[..], None);
        capture.catch_up_within(clock(1));
        let findings = capture.findings(AnalysisState::Live);
        assert_eq!(findings.skipped, []);
        assert_eq!(findings.analysis.report.packets, 10_000);
        assert_eq!(findings.analysis.files[0].packets, 10_000);
    }

    #[test]
    fn whole_seconds_are_left_out_until_the_end_was_seen() {
        let mut pcap = busy(100);
        let there = pcap.0.len();
        for n in 10_000..10_250 {
            pcap.frame(n * 10, &udp());
        }
        let (first, second) = pcap.0.split_at(there);
        let mut capture = Growing::default();
        // What comes later comes to the same reader.
        let came = std::rc::Rc::new(std::cell::RefCell::new(first.to_vec()));
        capture.follow("a".to_owned(), Coming(came.clone(), 0), None);
        // 100 ms for 256 packets: it is behind after 5 of these looks, in second 12, and pauses after 8.
        capture.catch_up_within(clock(100));
        let findings = capture.findings(AnalysisState::Live);
        assert_eq!(findings.analysis.files[0].packets, 2047, "an answer is due");
        capture.catch_up_within(clock(1));
        came.borrow_mut().extend(second);
        capture.catch_up_within(clock(1));
        let findings = capture.findings(AnalysisState::Live);
        let gap = Skipped {
            since: SECONDS + 13,
            until: SECONDS + 100,
            packets: 8700,
        };
        assert_eq!(findings.skipped, [gap]);
        assert_eq!(findings.analysis.files[0].packets, 10_250);
        assert_eq!(findings.analysis.report.packets, 1300 + 250);
    }

    struct Coming(std::rc::Rc<std::cell::RefCell<Vec<u8>>>, usize);

    impl Read for Coming {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let count = (&self.0.borrow()[self.1..]).read(out)?;
            self.1 += count;
            Ok(count)
        }
    }

    #[test]
    fn nothing_is_called_absent_where_something_was_left_out() {
        let pcap = Pcap::unanswered(300);
        let of = |step| {
            let mut capture = Growing::default();
            capture.follow("a".to_owned(), &pcap.0[..], None);
            capture.catch_up_within(clock(step));
            capture.complete();
            let findings = capture.findings(AnalysisState::Final);
            let codes = findings.analysis.report.findings.iter();
            let codes: Vec<_> = codes.map(|finding| finding.code).collect();
            (codes, findings.skipped.len())
        };
        let (whole, none) = of(1);
        assert!(
            whole.iter().any(|code| code.starts_with("tcp.")) && none == 0,
            "{whole:?}"
        );
        let (gap, one) = of(500);
        assert_eq!(one, 1);
        assert!(gap.iter().all(|code| !code.starts_with("tcp.")), "{gap:?}");
    }

    #[test]
    fn stretches_are_bounded() {
        let (mut taken, mut origin) = (Taken::default(), Origin::default());
        let pcap = busy(300);
        let mut reader = Reader::new(&pcap.0[..]);
        let mut gap = None;
        while let Some(item) = reader.next().expect("no fault") {
            if let Item::Packet(packet) = &item {
                let second = packet.timestamp_ns.unwrap_or_default() / SECOND_NS;
                if second % 2 == 1 && gap.is_none() {
                    gap = Some(Gap {
                        since: second,
                        last: second,
                        is_end_seen: true,
                    });
                }
            }
            taken.take(&mut origin, &mut gap, item);
        }
        assert_eq!(taken.skipped.len(), MAX_SKIPPED);
        let packets: u64 = taken.skipped.iter().map(|stretch| stretch.packets).sum();
        assert_eq!(packets, 15_000);
    }
}
