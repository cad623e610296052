//! A packet as the programs read it: directly where it lies in one piece, by a helper where it does
//! not, and always so that the verifier can follow. The hooks (`tc`, `xdp`) say what a packet is,
//! [`crate::path`] and [`crate::emit`] read it.

use core::mem::MaybeUninit;

use capture_common::VlanTag;
use capture_ebpf::{Frame, HeaderBytes};

use crate::maps::Workspace;

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
pub(crate) struct Linear {
    start: usize,
    end: usize,
    /// A number that the verifier knows nothing about.
    scramble_key: u32,
}

impl Linear {
    #[inline(always)]
    pub(crate) fn of<P: Packet>(packet: &P) -> Self {
        let (start, end) = packet.linear();
        let scramble_key = packet.ifindex();
        Self {
            start,
            end,
            scramble_key,
        }
    }

    /// Bytes of the part.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Copies the `N` bytes at `offset` to the same offset from `target`, in words wherever they lie;
    /// false where they are not all here. `N` is a multiple of 32.
    ///
    /// # Safety
    /// `target` must have room for them.
    #[inline(always)]
    pub(crate) unsafe fn copy<const N: usize>(&self, offset: usize, target: *mut u8) -> bool {
        const { assert!(N.is_multiple_of(32)) };
        let Some(span) = self.window::<N>(offset) else {
            return false;
        };
        let target = target.wrapping_add(offset);
        for at in (0..N).step_by(32) {
            // SAFETY: from within the span to within the room.
            unsafe {
                core::arch::asm!(
                    "{word} = *(u64 *)({from} + 0)",
                    "*(u64 *)({to} + 0) = {word}",
                    "{word} = *(u64 *)({from} + 8)",
                    "*(u64 *)({to} + 8) = {word}",
                    "{word} = *(u64 *)({from} + 16)",
                    "*(u64 *)({to} + 16) = {word}",
                    "{word} = *(u64 *)({from} + 24)",
                    "*(u64 *)({to} + 24) = {word}",
                    word = out(reg) _,
                    from = in(reg) span.0 + at,
                    to = in(reg) target.wrapping_add(at),
                    options(nostack, preserves_flags),
                );
            }
        }
        true
    }
}

impl Frame for Linear {
    type HeaderBytes<const N: usize> = LinearBytes<N>;

    #[inline(always)]
    fn window<const N: usize>(&self, offset: usize) -> Option<LinearBytes<N>> {
        if offset > MAX_HEADER_OFFSET {
            return None;
        }
        let first = barrier_var(self.start + offset);
        if first + N > self.end {
            return None;
        }
        Some(LinearBytes(first))
    }

    #[inline(always)]
    fn join_paths(&self, offset: usize) -> usize {
        scramble(offset, self.scramble_key)
    }
}

/// `N` bytes within the packet, from this address on. They are read in words wherever they lie: the
/// verifier allows that on packets where the machine can do it (x86-64 and arm64 can), and LLVM, which
/// knows nothing of that, would read byte after byte.
pub(crate) struct LinearBytes<const N: usize>(usize);

/// One load from `$span`; `$type` as BPF assembly has it.
macro_rules! load {
    ($type:literal, $span:expr, $at:ident, $len:expr) => {{
        const { assert!(N - $at >= $len) };
        let value: u64;
        // SAFETY: whoever made the span has checked that its bytes lie within the packet.
        unsafe {
            core::arch::asm!(
                concat!("{value} = *(", $type, " *)({first} + {at})"),
                value = lateout(reg) value,
                first = in(reg) $span.0,
                at = const $at,
                options(pure, readonly, nostack, preserves_flags),
            );
        }
        value
    }};
}

impl<const N: usize> HeaderBytes for LinearBytes<N> {
    #[inline(always)]
    fn byte<const AT: usize>(&self) -> u8 {
        load!("u8", self, AT, 1) as u8
    }

    #[inline(always)]
    fn half<const AT: usize>(&self) -> u16 {
        load!("u16", self, AT, 2) as u16
    }

    #[inline(always)]
    fn word<const AT: usize>(&self) -> u32 {
        load!("u32", self, AT, 4) as u32
    }

    #[inline(always)]
    fn double<const AT: usize>(&self) -> u64 {
        load!("u64", self, AT, 8)
    }
}

/// Any part of a packet, read by a helper: slower, and needed where headers are not in the linear part.
pub(crate) struct NonLinear<'a, P> {
    packet: &'a P,
    /// As for [`Linear`].
    scramble_key: u32,
}

/// A copy, aligned for any word that is read from it: of the stack the verifier is strict.
#[repr(C, align(8))]
pub(crate) struct CopiedBytes<const N: usize>([u8; N]);

impl<'a, P: Packet> NonLinear<'a, P> {
    #[inline(always)]
    pub(crate) fn of(packet: &'a P) -> Self {
        let scramble_key = packet.ifindex();
        Self {
            packet,
            scramble_key,
        }
    }
}

impl<P: Packet> Frame for NonLinear<'_, P> {
    type HeaderBytes<const N: usize> = CopiedBytes<N>;

    #[inline(always)]
    fn window<const N: usize>(&self, offset: usize) -> Option<CopiedBytes<N>> {
        if offset > MAX_HEADER_OFFSET {
            return None;
        }
        // Not zeroed before: LLVM would call a function for that.
        let mut bytes = MaybeUninit::<CopiedBytes<N>>::uninit();
        // SAFETY: `bytes` has N bytes.
        unsafe {
            self.packet
                .load_bytes(offset as u32, bytes.as_mut_ptr().cast(), N as u32)
        }
        .ok()?;
        // SAFETY: the helper has written all of them.
        Some(unsafe { bytes.assume_init() })
    }

    #[inline(always)]
    fn join_paths(&self, offset: usize) -> usize {
        scramble(offset, self.scramble_key)
    }
}

impl<const N: usize> HeaderBytes for CopiedBytes<N> {
    #[inline(always)]
    fn byte<const AT: usize>(&self) -> u8 {
        self.0.byte::<AT>()
    }

    #[inline(always)]
    fn half<const AT: usize>(&self) -> u16 {
        self.0.half::<AT>()
    }

    #[inline(always)]
    fn word<const AT: usize>(&self) -> u32 {
        self.0.word::<AT>()
    }

    #[inline(always)]
    fn double<const AT: usize>(&self) -> u64 {
        self.0.double::<AT>()
    }
}

/// Hides where a packet pointer comes from, so that LLVM derives the bound check and the access from
/// one register: the verifier forgets the check of a pointer that was computed twice. It is one move
/// and not an empty statement, as two lines of debug information at one instruction are refused.
#[inline(always)]
pub(crate) fn barrier_var(pointer: usize) -> usize {
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
fn scramble(value: usize, scramble_key: u32) -> usize {
    let scramble_key = u64::from(scramble_key);
    let same: usize;
    // SAFETY: two exclusive ors between registers.
    unsafe {
        core::arch::asm!(
            "{0} ^= {1}",
            "{0} ^= {1}",
            inlateout(reg) value => same,
            in(reg) scramble_key,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    same
}

/// The same workspace, with LLVM (and so the verifier) made to read every value anew from memory.
#[inline(always)]
pub(crate) fn reload(workspace: &mut Workspace) -> &mut Workspace {
    // SAFETY: the same pointer, and what it was borrowed from stays borrowed as long.
    unsafe { &mut *(barrier_var(core::ptr::from_mut(workspace) as usize) as *mut Workspace) }
}
