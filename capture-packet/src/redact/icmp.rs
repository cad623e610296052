//! ICMP with the packets that it quotes, and ICMPv6 with neighbour discovery and groups.

use std::ops::Range;

use super::{
    checksum::Covered,
    rewriter::{Carried, Next, Rewriter},
};
use crate::decode::be16;

/// Options of neighbour discovery.
mod option {
    pub(super) const SOURCE_LINK: u8 = 1;
    pub(super) const TARGET_LINK: u8 = 2;
    pub(super) const PREFIX: u8 = 3;
    pub(super) const MTU: u8 = 5;
    pub(super) const ROUTE: u8 = 24;
    pub(super) const RECURSIVE_DNS: u8 = 25;
}

impl Rewriter<'_> {
    /// RFC 792.
    pub(super) fn icmpv4(&mut self, carried: &Carried) -> Next {
        let at = self.at();
        let Some(header) = self.peek::<8>() else {
            return Next::End;
        };
        self.checksum(Covered {
            before: 0,
            after: 0,
            ..carried.covered(2)
        });
        match header[0] {
            // Echo, errors, timestamps and masks, of which the rest is cut.
            0 | 3 | 4 | 8 | 11..=14 | 17 | 18 => self.take(8),
            // Redirect: the gateway.
            5 => {
                self.take(8);
                self.v4(at + 4);
                Some(at..at + 8)
            }
            _ => self.take(4),
        };
        match header[0] {
            3 | 4 | 5 | 11 | 12 => self.quote(),
            _ => Next::End,
        }
    }

    /// The packet that an error quotes. It is cut by nature: its own header says how long it was.
    fn quote(&mut self) -> Next {
        if self.is_quote {
            return Next::End;
        }
        self.is_quote = true;
        // What is there ends with the error that quotes it; `rest` heeds the end of the frame.
        self.end = self.end.saturating_add(usize::from(u16::MAX));
        self.enter(Next::Ip)
    }

    /// RFC 4443.
    pub(super) fn icmpv6(&mut self, carried: &Carried) -> Next {
        let at = self.at();
        let Some(header) = self.peek::<8>() else {
            return Next::End;
        };
        self.checksum(carried.covered(2));
        match header[0] {
            1..=4 => {
                self.take(8);
                return self.quote();
            }
            // Echo.
            128 | 129 => {
                self.take(8);
            }
            // Groups (RFC 2710), with sources of version 2 (RFC 3810 section 5.1).
            130..=132 => {
                if self.take(24).is_some() {
                    self.v6(at + 8);
                    self.group_query(header[0]);
                }
            }
            143 => self.group_report(usize::from(be16(header, 6))),
            // Router solicitation and advertisement (RFC 4861).
            133 => self.neighbour(8, &[]),
            134 => self.neighbour(16, &[]),
            // Neighbour solicitation and advertisement: the target.
            135 | 136 => self.neighbour(24, &[8]),
            // Redirect: target and destination.
            137 => self.neighbour(40, &[8, 24]),
            _ => {
                self.take(4);
            }
        }
        Next::End
    }

    fn group_query(&mut self, kind: u8) {
        let Some(fields) = self.peek::<4>().filter(|_| kind == 130) else {
            return;
        };
        self.take(4);
        self.addresses(usize::from(be16(fields, 2)));
    }

    /// Records of a report (RFC 3810 section 5.2).
    fn group_report(&mut self, records: usize) {
        self.take(8);
        for _ in 0..records {
            let Some(record) = self.peek::<4>() else {
                return;
            };
            // With data of its own, which nobody uses.
            if record[1] != 0 || self.rest().len() < 20 {
                return;
            }
            self.take(4);
            if !self.addresses(1) || !self.addresses(usize::from(be16(record, 2))) {
                return;
            }
        }
    }

    /// Takes addresses over, up to the first that is not there whole.
    fn addresses(&mut self, count: usize) -> bool {
        (0..count).all(|_| {
            let taken = self.take(16);
            if let Some(taken) = &taken {
                self.v6(taken.start);
            }
            taken.is_some()
        })
    }

    /// A message of neighbour discovery with addresses at these places, and its options.
    fn neighbour(&mut self, len: usize, addresses: &[usize]) {
        let at = self.at();
        if self.take(len).is_none() {
            return;
        }
        for address in addresses {
            self.v6(at + address);
        }
        while let Some(&[kind, units]) = self.peek::<2>() {
            let len = usize::from(units) * 8;
            // A redirected packet is payload.
            if len == 0 || kind == 4 {
                return;
            }
            let Some(place) = self.take(len) else {
                return;
            };
            if self.is_anonymising() {
                self.neighbour_option(kind, &place);
            }
        }
    }

    fn neighbour_option(&mut self, kind: u8, place: &Range<usize>) {
        let Range { start, end } = *place;
        match (kind, place.len()) {
            (option::SOURCE_LINK | option::TARGET_LINK, 8) => self.mac(start + 2),
            (option::PREFIX, 32) => {
                let bits = self.out[start + 2];
                self.prefix(start + 16..end, bits);
            }
            (option::MTU, 8) => {}
            // RFC 4191: as much of the prefix as there is.
            (option::ROUTE, 8 | 16 | 24) => {
                let bits = self.out[start + 2];
                self.prefix(start + 8..end, bits);
            }
            // RFC 8106.
            (option::RECURSIVE_DNS, 24..) => {
                for address in (start + 8..end).step_by(16) {
                    match address + 16 <= end {
                        true => self.v6(address),
                        false => self.out[address..end].fill(0),
                    }
                }
            }
            _ => self.out[start + 2..end].fill(0),
        }
    }

    /// Replaces a prefix of so many bits. Bits behind it stay zero.
    fn prefix(&mut self, place: Range<usize>, bits: u8) {
        let mut address = [0; 16];
        let len = place.len().min(16);
        address[..len].copy_from_slice(&self.out[place.start..place.start + len]);
        let bits = u32::from(bits).min(len as u32 * 8);
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        let mask = |address: [u8; 16]| (u128::from_be_bytes(address) & mask).to_be_bytes();
        if let Some(pseudonyms) = &mut self.pseudonyms {
            let pseudonym = mask(pseudonyms.v6(mask(address)));
            self.out[place.start..place.start + len].copy_from_slice(&pseudonym[..len]);
        }
    }
}
