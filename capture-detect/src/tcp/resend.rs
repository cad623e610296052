//! What is remembered of a direction of data once something went wrong in it, and the resends that may turn out to have been
//! unnecessary. Connections without trouble have none of this.

use super::{Segment, figures::Figures, recovery_id::RecoveryId, sequence::after};

/// Resends whose end is waited for.
const MOST: usize = 8;

/// A resend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Resend {
    start: u32,
    end: u32,
    tsval: Option<u32>,
    pub segments: u32,
}

/// The segment at the head of what is outstanding, sent again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// Its sequence number.
    pub seq: u32,
    /// Its payload.
    pub len: u32,
    /// Resends of it.
    pub resends: u16,
    /// Those that came at least half as late again as the one before.
    pub backed_off: u16,
    /// When it was sent first.
    pub first_ns: u64,
    /// When it was sent last.
    pub last_ns: u64,
    /// Number of the first packet.
    pub first: u64,
    /// Number of the last packet.
    pub last: u64,
    pub(super) gap_ns: u64,
}

/// What went wrong in a direction of data.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    pub figures: Figures,
    pub stuck: Stuck,
    pub recovery: RecoveryId,
    /// Whether there may be holes.
    pub has_holes: bool,
    /// Behind the latest resend.
    pub resent_end: Option<u32>,
}

/// Resends whose end is waited for.
#[derive(Clone, Debug, Default)]
pub struct Resends {
    list: [Option<Resend>; MOST],
    next: u8,
}

impl Resends {
    /// Remembers a resend, in place of the oldest.
    pub fn add(&mut self, segment: &Segment<'_>, segments: u32) {
        self.list[usize::from(self.next) % MOST] = Some(Resend {
            start: segment.seq(),
            end: segment.end,
            tsval: segment.tsval(),
            segments,
        });
        self.next = self.next.wrapping_add(1);
    }

    /// A duplicate that the receiver reports (RFC 2883): a resend that was not needed, or that the network doubled.
    pub(super) fn reported_twice(&mut self, left: u32, right: u32) -> Option<Resend> {
        self.take(|resend| after(resend.end, left) && after(right, resend.start))
    }

    /// An acknowledgement that echoes an older TSval than that of the resend at the head of what was outstanding: the
    /// original arrived (Eifel detection, RFC 3522).
    pub(super) fn acknowledged(
        &mut self,
        head: u32,
        ack: u32,
        echo: Option<u32>,
    ) -> Option<Resend> {
        let unneeded = echo.and_then(|echo| {
            self.take(|resend| {
                !after(resend.start, head)
                    && after(resend.end, head)
                    && !after(resend.end, ack)
                    && resend.tsval.is_some_and(|sent| after(sent, echo))
            })
        });
        // Whatever else was acknowledged may still be reported as a duplicate, so it stays.
        unneeded
    }

    /// The resend whose original this is: the same range, sent before.
    pub(super) fn original_of(&mut self, segment: &Segment<'_>) -> Option<Resend> {
        let tsval = segment.tsval()?;
        self.take(|resend| {
            resend.start == segment.seq()
                && resend.end == segment.end
                && resend.tsval.is_some_and(|sent| after(sent, tsval))
        })
    }

    fn take(&mut self, is_meant: impl Fn(&Resend) -> bool) -> Option<Resend> {
        let mut places = self.list.iter_mut();
        let place = places.find(|place| place.as_ref().is_some_and(&is_meant))?;
        place.take()
    }
}
