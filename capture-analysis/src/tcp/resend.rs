//! What is remembered of a direction of data once something went wrong in it: holes, and the resends that may turn out to
//! have been unnecessary. Connections without trouble have none of this.

use super::{Segment, figures::Figures, holes::Holes, sequence::after};

/// Resends whose end is waited for.
const MOST: usize = 8;

/// A resend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resend {
    start: u32,
    end: u32,
    tsval: Option<u32>,
    pub(crate) segments: u32,
}

/// The segment at the head of what is outstanding, sent again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) seq: u32,
    /// Its payload.
    pub(crate) len: u32,
    /// Resends of it.
    pub(crate) resends: u16,
    /// Those that came at least half as late again as the one before.
    pub(crate) backed_off: u16,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// Numbers of the packets.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(super) gap_ns: u64,
}

/// See above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    pub(crate) holes: Holes,
    pub(crate) figures: Figures,
    pub(crate) stuck: Stuck,
    resends: [Option<Resend>; MOST],
    next: u8,
}

impl Trouble {
    /// Remembers a resend, in place of the oldest.
    pub(crate) fn resent(&mut self, segment: &Segment<'_>, segments: u32) {
        self.resends[usize::from(self.next) % MOST] = Some(Resend {
            start: segment.seq(),
            end: segment.end,
            tsval: segment.tsval(),
            segments,
        });
        self.next = self.next.wrapping_add(1);
    }

    /// A duplicate that the receiver reports (RFC 2883): a resend that was not needed, or that the network doubled.
    pub(crate) fn reported_twice(&mut self, left: u32, right: u32) -> Option<Resend> {
        self.take(|resend| after(resend.end, left) && after(right, resend.start))
    }

    /// An acknowledgement that echoes an older TSval than that of the resend at the head of what was outstanding: the
    /// original arrived (Eifel detection, RFC 3522).
    pub(crate) fn acknowledged(
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
    pub(crate) fn original_of(&mut self, segment: &Segment<'_>) -> Option<Resend> {
        let tsval = segment.tsval()?;
        self.take(|resend| {
            resend.start == segment.seq()
                && resend.end == segment.end
                && resend.tsval.is_some_and(|sent| after(sent, tsval))
        })
    }

    fn take(&mut self, is_meant: impl Fn(&Resend) -> bool) -> Option<Resend> {
        let mut places = self.resends.iter_mut();
        let place = places.find(|place| place.as_ref().is_some_and(&is_meant))?;
        place.take()
    }
}
