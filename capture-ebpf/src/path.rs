//! The way of a packet through a hook: count it, parse it, classify it, and hand the tasks that
//! matched to [`crate::emit`]. Nothing here changes the packet or its verdict.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use capture_common::{
    FRAGMENT_LIFETIME_NS, FragmentKey, FragmentVerdict, HookPoint, Interface, LinkLayer, MAX_SLOTS,
    VlanTag,
};
use capture_ebpf::{Fragment, Frame, Headers, Network, classify, parse};

use crate::{
    emit::emit,
    maps::{
        CONTROL, FRAGMENTS, INTERFACE_COUNTERS, INTERFACES, MapTables, SLOTS, WORKSPACE, Workspace,
    },
};

/// Furthest offset at which a header is looked for; the verifier wants packet offsets below 0xffff.
const MAX_HEADER_OFFSET: usize = 0x7fff;

/// A packet as a hook has it.
pub(crate) trait Packet {
    /// Index of the interface that sees it.
    fn ifindex(&self) -> u32;
    /// Length of the whole frame in bytes, a tag in metadata not included.
    fn len(&self) -> u32;
    /// Addresses of the first byte and of the end of the part that can be read directly.
    fn linear(&self) -> (usize, usize);
    /// The tag in metadata.
    fn vlan(&self) -> VlanTag;
    /// Copies `len` bytes from `offset` to `target`, wherever in the packet they are.
    ///
    /// # Safety
    /// `target` must have room for `len` bytes.
    unsafe fn load_bytes(&self, offset: u32, target: *mut u8, len: u32) -> Result<(), i64>;
}

/// The directly readable part of a packet.
struct Linear {
    start: usize,
    end: usize,
    /// A number that the verifier knows nothing about.
    salt: u32,
}

impl Frame for Linear {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_HEADER_OFFSET {
            return None;
        }
        let first = opaque(self.start + offset);
        if first + N > self.end {
            return None;
        }
        // SAFETY: the bytes from `first` to `first + N` lie within the packet, as just checked.
        Some(unsafe { *(first as *const [u8; N]) })
    }

    #[inline(always)]
    fn meet(&self, offset: usize) -> usize {
        unknown(offset, self.salt)
    }
}

/// Any part of a packet, read by a helper: slower, and needed where headers are not in the linear part.
struct Anywhere<'a, P> {
    packet: &'a P,
    /// As for [`Linear`].
    salt: u32,
}

impl<P: Packet> Frame for Anywhere<'_, P> {
    #[inline(always)]
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset > MAX_HEADER_OFFSET {
            return None;
        }
        let mut bytes = [0; N];
        // SAFETY: `bytes` has N bytes.
        unsafe {
            self.packet
                .load_bytes(offset as u32, bytes.as_mut_ptr(), N as u32)
        }
        .ok()?;
        Some(bytes)
    }

    #[inline(always)]
    fn meet(&self, offset: usize) -> usize {
        unknown(offset, self.salt)
    }
}

/// Hides where a packet pointer comes from, so that LLVM derives the bound check and the access from
/// one register: the verifier forgets the check of a pointer that was computed twice. It is one move
/// and not an empty statement, as two lines of debug information at one instruction are refused.
#[inline(always)]
pub(crate) fn opaque(pointer: usize) -> usize {
    let same;
    // SAFETY: a move between registers.
    unsafe {
        core::arch::asm!("{0} = {1}", lateout(reg) same, in(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    same
}

/// The same value, of which the verifier knows nothing any more: it does not see that twice the same
/// exclusive or is none.
#[inline(always)]
fn unknown(value: usize, salt: u32) -> usize {
    let salt = u64::from(salt);
    let same: usize;
    // SAFETY: two exclusive ors between registers.
    unsafe {
        core::arch::asm!(
            "{0} ^= {1}",
            "{0} ^= {1}",
            inlateout(reg) value => same,
            in(reg) salt,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    same
}

/// Sees one packet. `None` is the usual way out: nobody wants it.
#[inline(always)]
pub(crate) fn handle<P: Packet>(packet: &P, hook: HookPoint) -> Option<()> {
    let ifindex = packet.ifindex();
    // SAFETY: user space replaces whole values; a stale one costs at most a packet at the moment of
    // a change.
    let interface = unsafe { INTERFACES.get(ifindex) }?;
    let counters = INTERFACE_COUNTERS.get_ptr_mut(interface.row)?;
    // SAFETY: a per-CPU value, and hooks on one CPU do not interrupt each other.
    let counters = unsafe { &mut (*counters)[hook as usize] };
    counters.seen += 1;

    let control = CONTROL.get(0)?;
    let candidates = control.active & interface.slots[hook as usize];
    if candidates == 0 {
        return None;
    }
    let workspace = workspace()?;
    headers(packet, interface, &mut workspace.headers);
    let workspace = forget(workspace);
    if workspace.headers.malformed {
        counters.malformed += 1;
    }
    let tables = MapTables {
        flags: control.flags,
    };
    let slots = classify(&tables, control, candidates, &workspace.headers);
    workspace.slots = slots;
    if !matches!(workspace.headers.fragment, Fragment::No) {
        workspace.slots |= fragment_verdict(&workspace.headers, (ifindex, hook), candidates, slots);
    }
    let workspace = forget(workspace);
    if workspace.slots == 0 {
        return None;
    }
    emit(packet, hook.direction(), workspace, control.generation)
}

#[inline(always)]
fn workspace() -> Option<&'static mut Workspace> {
    // SAFETY: a per-CPU value, and hooks on one CPU do not interrupt each other.
    WORKSPACE
        .get_ptr_mut(0)
        .map(|workspace| unsafe { &mut *workspace })
}

/// The same workspace, with LLVM (and so the verifier) made to read every value anew from memory.
#[inline(always)]
pub(crate) fn forget(workspace: &mut Workspace) -> &mut Workspace {
    // SAFETY: the same pointer, whose only other holder was consumed.
    unsafe { &mut *(opaque(core::ptr::from_mut(workspace) as usize) as *mut Workspace) }
}

#[inline(always)]
fn headers<P: Packet>(packet: &P, interface: &Interface, headers: &mut Headers) {
    let link = if interface.link == LinkLayer::None as u32 {
        LinkLayer::None
    } else {
        LinkLayer::Ethernet
    };
    let (start, end) = packet.linear();
    let salt = packet.ifindex();
    parse(&Linear { start, end, salt }, link, headers);
    if headers.malformed && end - start < packet.len() as usize {
        parse(&Anywhere { packet, salt }, link, headers);
    }
}

/// Remembers a first fragment's verdict, and gives it to the later ones.
#[inline(always)]
fn fragment_verdict(
    headers: &Headers,
    (ifindex, hook): (u32, HookPoint),
    candidates: u64,
    slots: u64,
) -> u64 {
    let key = FragmentKey {
        source: headers.source,
        destination: headers.destination,
        identification: headers.identification,
        ifindex,
        protocol: headers.fragment_protocol,
        version: if matches!(headers.network, Network::V6) {
            6
        } else {
            4
        },
        hook: hook as u8,
        reserved: 0,
    };
    // SAFETY: reads the clock.
    let now = unsafe { bpf_ktime_get_ns() };
    match headers.fragment {
        Fragment::First => {
            if slots != 0 {
                let verdict = FragmentVerdict {
                    slots,
                    timestamp_ns: now,
                };
                // A full table throws out its oldest entry; there is no failure to handle.
                let _ = FRAGMENTS.insert(key, verdict, 0);
            } else {
                // The identification may be in use again, by a datagram that nobody wants.
                let _ = FRAGMENTS.remove(key);
            }
            0
        }
        Fragment::Later => {
            // SAFETY: an element that is replaced under our feet holds another verdict on the same
            // identification.
            let Some(verdict) = (unsafe { FRAGMENTS.get(key) }) else {
                return 0;
            };
            if now.wrapping_sub(verdict.timestamp_ns) > FRAGMENT_LIFETIME_NS {
                return 0;
            }
            entitled(verdict.slots & candidates & !slots, verdict.timestamp_ns)
        }
        Fragment::No => 0,
    }
}

/// Those of `slots` whose task was there already when the first fragment came.
#[inline(always)]
fn entitled(slots: u64, first_fragment_ns: u64) -> u64 {
    let mut entitled = 0;
    if slots != 0 {
        for slot in 0..MAX_SLOTS as u32 {
            let bit = 1 << slot;
            if slots & bit != 0
                && let Some(task) = SLOTS.get(slot)
                && task.started_ns <= first_fragment_ns
            {
                entitled |= bit;
            }
        }
    }
    entitled
}
