//! What is measured: which frames, how many of them match, how much of each is kept, and where it
//! goes. A case has a name, under which its figures stand everywhere.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

/// Sizes of a mix with how often each comes: few bytes mostly, as in the Internet mix.
const MIX: [(usize, usize); 3] = [(64, 7), (512, 4), (1514, 1)];

/// The sizes of frames, link header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Frames {
    /// 64 bytes
    #[value(name = "64")]
    Small,
    /// 512 bytes
    #[value(name = "512")]
    Middle,
    /// 1,514 bytes
    #[value(name = "1514")]
    Full,
    /// Seven of 64, four of 512 and one of 1,514 bytes
    Mix,
}

/// How many of the frames match the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Share {
    /// No filter.
    All,
    /// One in a hundred, by UDP port.
    Percent,
    /// None, by UDP port.
    None,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Snap {
    /// 128 bytes.
    Head,
    /// The whole frame.
    Whole,
}

/// Where the capture goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Sink {
    /// A file.
    Disk,
    /// `/dev/null`.
    Null,
}

/// A case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    pub(crate) frames: Frames,
    pub(crate) share: Share,
    pub(crate) snap: Snap,
    pub(crate) sink: Sink,
}

impl Frames {
    /// Bytes of the longest frame.
    pub(crate) fn longest(self) -> usize {
        match self {
            Self::Small => 64,
            Self::Middle => 512,
            Self::Full | Self::Mix => 1514,
        }
    }

    /// Bytes of a frame of the schedule.
    pub(crate) fn len_at(self, number: usize) -> usize {
        if self != Self::Mix {
            return self.longest();
        }
        let mut place = number % MIX.map(|(_, share)| share).iter().sum::<usize>();
        for (len, share) in MIX {
            if place < share {
                return len;
            }
            place -= share;
        }
        self.longest()
    }
}

impl Share {
    /// Whether a frame of the schedule matches.
    pub(crate) fn matches(self, number: usize) -> bool {
        match self {
            Self::All => true,
            // Not always a frame of the same size: 100 and the 12 of a mix have a factor of 4 in common.
            Self::Percent => number % 100 == number / 100 % 100,
            Self::None => false,
        }
    }
}

impl Snap {
    /// Bytes kept at most; 0 is all.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Head => 128,
            Self::Whole => 0,
        }
    }
}

impl Case {
    pub(crate) const fn new(frames: Frames, share: Share, snap: Snap, sink: Sink) -> Self {
        Self {
            frames,
            share,
            snap,
            sink,
        }
    }

    /// The case of the target for packets a second.
    pub(crate) const RATE: Self = Self::new(Frames::Small, Share::All, Snap::Head, Sink::Disk);
    /// The case of the target for bytes a second.
    pub(crate) const BYTES: Self = Self::new(Frames::Full, Share::All, Snap::Whole, Sink::Disk);
    /// Few of many: what the filter costs.
    pub(crate) const FEW: Self = Self::new(Frames::Mix, Share::Percent, Snap::Whole, Sink::Disk);

    /// Every combination.
    pub(crate) fn every() -> Vec<Self> {
        let mut cases = Vec::new();
        for frames in [Frames::Small, Frames::Middle, Frames::Full, Frames::Mix] {
            for share in [Share::All, Share::Percent, Share::None] {
                for snap in [Snap::Head, Snap::Whole] {
                    for sink in [Sink::Disk, Sink::Null] {
                        // What matches nothing keeps nothing, and goes nowhere.
                        if share != Share::None || (snap, sink) == (Snap::Head, Sink::Null) {
                            cases.push(Self::new(frames, share, snap, sink));
                        }
                    }
                }
            }
        }
        cases
    }

    /// Whether a run that does not ask for all has it: all or few matched, to disk, small frames cut.
    pub(crate) fn is_usual(self) -> bool {
        let snap = match self.frames {
            Frames::Small => Snap::Head,
            _ => Snap::Whole,
        };
        self.sink == Sink::Disk && self.snap == snap && self.share != Share::None
    }

    /// Most bytes that a matching frame takes in a file.
    pub(crate) fn kept(self) -> usize {
        let longest = self.frames.longest();
        match self.snap.bytes() {
            0 => longest,
            most => longest.min(most),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            frames,
            share,
            snap,
            sink,
        } = self;
        let frames = match frames {
            Frames::Mix => "mixed frames".to_owned(),
            frames => format!("{}-byte frames", frames.longest()),
        };
        let share = match share {
            Share::All => "all",
            Share::Percent => "1 %",
            Share::None => "none",
        };
        let snap = match snap {
            Snap::Head => "128 bytes",
            Snap::Whole => "whole",
        };
        let sink = match sink {
            Sink::Disk => "disk",
            Sink::Null => "/dev/null",
        };
        write!(f, "{frames}, {share} matched, {snap} to {sink}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_has_its_shares() {
        let lens: Vec<_> = (0..1200).map(|at| Frames::Mix.len_at(at)).collect();
        let count = |len| lens.iter().filter(|other| **other == len).count();
        assert_eq!([64, 512, 1514].map(count), [700, 400, 100]);
    }

    #[test]
    fn one_in_a_hundred_matches_among_all_sizes() {
        let matching: Vec<_> = (0..1200).filter(|at| Share::Percent.matches(*at)).collect();
        assert_eq!(matching.len(), 12);
        let mut lens: Vec<_> = matching.iter().map(|at| Frames::Mix.len_at(*at)).collect();
        lens.sort_unstable();
        lens.dedup();
        assert_eq!(lens, [64, 512, 1514]);
    }

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let mut names: Vec<_> = Case::every().iter().map(Case::to_string).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
