//! Sequence numbers counted from the start of a connection, as tcpdump has them.

use std::collections::HashMap;

use crate::address::Address;

/// Most connections that are remembered. When there are more, all are forgotten, and numbers begin anew.
const MOST: usize = 65_536;

/// One side of a connection.
pub(super) type Side = (Address, u16);

/// The first sequence number of each side, of the connections seen.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    firsts: HashMap<(Side, Side), (u32, u32)>,
}

impl Connections {
    /// The numbers of a segment as they are to be shown. Those of a SYN, and of the first segment of a connection that was
    /// under way, are shown as they are.
    pub(super) fn relative(
        &mut self,
        (from, to): (Side, Side),
        (sequence, acknowledgement): (u32, u32),
        is_syn: bool,
        is_ack: bool,
    ) -> (u32, u32) {
        if !is_ack {
            return (sequence, acknowledgement);
        }
        let is_forward = from <= to;
        let key = if is_forward { (from, to) } else { (to, from) };
        match self.firsts.get(&key) {
            Some(&(first, second)) if !is_syn => {
                let (own, other) = if is_forward {
                    (first, second)
                } else {
                    (second, first)
                };
                (
                    sequence.wrapping_sub(own),
                    acknowledgement.wrapping_sub(other),
                )
            }
            _ => {
                if self.firsts.len() >= MOST {
                    self.firsts.clear();
                }
                // As tcpdump: what is acknowledged is the first number of the other side, and one beyond its SYN.
                let other = acknowledgement.wrapping_sub(1);
                let firsts = if is_forward {
                    (sequence, other)
                } else {
                    (other, sequence)
                };
                self.firsts.insert(key, firsts);
                (sequence, acknowledgement)
            }
        }
    }
}
