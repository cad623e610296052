//! The frame that is written, header by header, and what layers need to write theirs.

use std::ops::Range;

use super::{
    checksum::{Checksum, Covered},
    pseudonym::Pseudonyms,
};
use crate::decode::MAX_TUNNELS;

/// What lies ahead. The loop of [`Redactor::redact`](super::Redactor::redact) goes there, so that packets within packets take no stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// Nothing that may be seen.
    End,
    /// An Ethernet header.
    Ethernet,
    /// What this EtherType announces.
    EtherType(u16),
    /// IP of either version.
    Ip,
    Ipv4,
    Ipv6,
    Transport(Carried),
}

/// What an IP packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub(super) is_v6: bool,
    pub(super) protocol: u8,
    pub(super) is_fragment: bool,
    /// Where it begins.
    pub(super) at: usize,
    /// Its length on the wire.
    pub(super) len: usize,
    /// Sums of its pseudo-header in the frame, and in what is written.
    pub(super) before: u32,
    pub(super) after: u32,
}

impl Carried {
    /// A checksum over all of it and the pseudo-header.
    pub(super) fn covered(&self, field: usize) -> Covered {
        Covered {
            field: self.at + field,
            start: self.at,
            len: self.len,
            before: self.before,
            after: self.after,
            is_optional: false,
        }
    }
}

/// A frame and the part of it that was taken over. Both have the same offsets.
pub(super) struct Rewriter<'a> {
    pub(super) frame: &'a [u8],
    pub(super) out: &'a mut Vec<u8>,
    pub(super) pseudonyms: Option<&'a mut Pseudonyms>,
    /// Where the layer around this one ends on the wire; around a quoted packet nobody knows.
    pub(super) end: usize,
    /// Whether this is a packet that an ICMP error quotes.
    pub(super) is_quote: bool,
    tunnels: u8,
    checksums: Vec<Checksum>,
}

impl<'a> Rewriter<'a> {
    pub(super) fn new(
        frame: &'a [u8],
        wire_len: u32,
        out: &'a mut Vec<u8>,
        pseudonyms: Option<&'a mut Pseudonyms>,
    ) -> Self {
        Self {
            frame,
            out,
            pseudonyms,
            end: (wire_len as usize).max(frame.len()),
            is_quote: false,
            tunnels: 0,
            checksums: Vec::new(),
        }
    }

    /// Writes the checksums, once everything else is.
    pub(super) fn finish(self) {
        // The outer ones cover the inner ones.
        for checksum in self.checksums.iter().rev() {
            checksum.write(self.out);
        }
    }

    /// Where the next byte comes.
    pub(super) fn at(&self) -> usize {
        self.out.len()
    }

    /// What is there of the frame, up to the end of the layer around this one.
    pub(super) fn rest(&self) -> &'a [u8] {
        let end = self.end.min(self.frame.len());
        self.frame.get(self.at()..end).unwrap_or(&[])
    }

    /// The next `N` bytes, where they are there.
    pub(super) fn peek<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.rest().first_chunk::<N>()
    }

    /// Takes over `len` bytes, all or none. Gives where they are.
    pub(super) fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let bytes = self.rest().get(..len)?;
        let at = self.at();
        self.out.extend_from_slice(bytes);
        Some(at..at + len)
    }

    /// Takes over `len` bytes of which nobody knows what they are; with pseudonyms they become zeros.
    pub(super) fn take_unknown(&mut self, len: usize) -> Option<Range<usize>> {
        let taken = self.take(len)?;
        if self.is_anonymising() {
            self.out[taken.clone()].fill(0);
        }
        Some(taken)
    }

    pub(super) fn is_anonymising(&self) -> bool {
        self.pseudonyms.is_some()
    }

    /// Replaces the IPv4 address at an offset of what was taken over.
    pub(super) fn v4(&mut self, at: usize) {
        if let (Some(pseudonyms), Some(bytes)) = (&mut self.pseudonyms, chunk_at(self.out, at)) {
            *bytes = pseudonyms.v4(*bytes);
        }
    }

    /// Replaces the IPv6 address there.
    pub(super) fn v6(&mut self, at: usize) {
        if let (Some(pseudonyms), Some(bytes)) = (&mut self.pseudonyms, chunk_at(self.out, at)) {
            *bytes = pseudonyms.v6(*bytes);
        }
    }

    /// Replaces the hardware address there.
    pub(super) fn mac(&mut self, at: usize) {
        if let (Some(pseudonyms), Some(bytes)) = (&mut self.pseudonyms, chunk_at(self.out, at)) {
            *bytes = pseudonyms.mac(*bytes);
        }
    }

    /// Notes a checksum, which is written at the end.
    pub(super) fn checksum(&mut self, covered: Covered) {
        self.checksums.push(Checksum::of(self.frame, covered));
    }

    /// Goes into a tunnel, unless there are too many around it already.
    pub(super) fn enter(&mut self, inner: Next) -> Next {
        if self.tunnels >= MAX_TUNNELS {
            return Next::End;
        }
        self.tunnels += 1;
        inner
    }
}

fn chunk_at<const N: usize>(bytes: &mut [u8], at: usize) -> Option<&mut [u8; N]> {
    bytes.get_mut(at..)?.first_chunk_mut::<N>()
}
