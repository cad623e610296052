//! A packet with those of its conversation before it, as a capture of its own: what another decoder needs to know to take
//! it apart.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use base64ct::{Base64, Encoding as _};
use capture_file::{CopiedPacket, CopyEncoder};
use serde::{Deserialize, Serialize};

use super::{
    capture::{Scope, Shown},
    ends::Ends,
    export::refused,
    indexed::STRIDE,
    request::ViewFault,
    viewing::View,
};

/// How long the others are searched for, among how many packets, and how many are taken.
const TIME: Duration = Duration::from_millis(100);
const PACKETS: u64 = 50_000;
const MOST: usize = 500;

/// Most bytes of them.
const MOST_BYTES: usize = 2 << 20;

/// A packet with those before it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Context {
    /// A pcapng file, in base 64; the packet is its last one.
    pub data: String,
    /// The numbers of its packets where they come from.
    pub numbers: Vec<u64>,
}

impl View {
    pub(super) fn context(&mut self, scope: Scope, number: u64) -> Result<Context, ViewFault> {
        let mut found = None;
        self.with_packet(scope, number, |_, shown| {
            found = Some((shown.position, Ends::of(&shown.frame)));
        })?;
        let (position, ends) = found.ok_or(ViewFault::NoPacket)?;
        let mut positions = match ends {
            Some(ends) => self.before(scope, position, &ends),
            None => Vec::new(),
        };
        positions.push(position);
        self.as_file(scope, &positions)
    }

    /// Positions of the packets of a conversation before one, the last ones of them, in order.
    fn before(&self, scope: Scope, position: u64, ends: &Ends) -> Vec<u64> {
        let deadline = Instant::now() + TIME;
        let start = self.capture.extent(scope).start;
        let start = start.max(position.saturating_sub(PACKETS));
        let mut all = Vec::new();
        let (mut until, mut bytes) = (position, 0);
        while until > start && all.len() < MOST && bytes < MOST_BYTES && Instant::now() < deadline {
            // From mark to mark, as reading begins at one.
            let from = ((until - 1) / STRIDE * STRIDE).max(start);
            let mut here = Vec::new();
            let _ = self.capture.each(scope, from..until, |shown| {
                if Ends::of(&shown.frame).as_ref() == Some(ends) {
                    here.push((shown.position, shown.frame.data.len()));
                }
                ControlFlow::Continue(())
            });
            for (position, len) in here.into_iter().rev() {
                bytes += len;
                if all.len() >= MOST || bytes > MOST_BYTES {
                    break;
                }
                all.push(position);
            }
            until = from;
        }
        all.reverse();
        all
    }

    fn as_file(&self, scope: Scope, positions: &[u64]) -> Result<Context, ViewFault> {
        let mut file = ContextFile::default();
        let mut fault = None;
        self.each_at(scope, positions, |shown| {
            fault = self.put_in(&mut file, shown).err();
            fault.is_none()
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        let copy = file.copy.as_mut().ok_or(ViewFault::NoPacket)?;
        Ok(Context {
            data: Base64::encode_string(&copy.take()),
            numbers: file.numbers,
        })
    }

    fn put_in(&self, file: &mut ContextFile, shown: &Shown<'_>) -> Result<(), ViewFault> {
        let copy = match &mut file.copy {
            Some(copy) => copy,
            none => none.insert(CopyEncoder::new(&<_>::default(), "").map_err(refused)?),
        };
        let key = (shown.file, shown.frame.interface);
        let known = file.interfaces.iter().position(|known| *known == key);
        let interface = match known {
            Some(place) => place,
            None => {
                let described = self.capture.interface(key.0, key.1);
                copy.interface(&described.cloned().unwrap_or_default())
                    .map_err(refused)?;
                file.interfaces.push(key);
                file.interfaces.len() - 1
            }
        };
        let packet = CopiedPacket {
            interface: u32::try_from(interface).unwrap_or(u32::MAX),
            timestamp_ns: shown.timestamp_ns.unwrap_or_default(),
            direction: shown.direction,
            original_len: shown.frame.wire_len,
            lost_before: 0,
            data: shown.frame.data,
        };
        copy.packet(&packet, []).map_err(refused)?;
        file.numbers.push(shown.frame.number);
        Ok(())
    }
}

/// The file under way.
#[derive(Default)]
struct ContextFile {
    copy: Option<CopyEncoder>,
    /// File and number of each interface.
    interfaces: Vec<(u64, u32)>,
    numbers: Vec<u64>,
}
