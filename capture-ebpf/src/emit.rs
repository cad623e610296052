//! From a match to a record in the ring: deadlines, oversize, counters, the copy, and the wake-up of
//! the reader. One record serves all the tasks that matched.

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
};
use aya_log_ebpf::debug;
use capture_common::{
    Control, Direction, MAX_CAPTURE_LEN, MAX_SLOTS, RECORD_HEADER_LEN, RecordHeader,
};
use capture_ebpf::{
    limits::{most_kept, oversize},
    tally,
};

use crate::{
    maps::{RINGS, SCRATCH, SLOT_COUNTERS, SLOTS, Scratch, Workspace},
    packet::{Linear, Packet, forget, opaque},
};

/// Bytes put into a ring before the reader is woken up; below that its timer finds them. Set by the
/// agent before the programs are loaded.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(1 << 20);

/// Bytes of a VLAN tag, which user space puts back.
const VLAN_TAG_LEN: u32 = 4;

/// Writes one record for the tasks in the workspace; counts what each of them gets or loses.
#[inline(always)]
pub(crate) fn emit<P: Packet>(
    packet: &P,
    direction: Direction,
    workspace: &mut Workspace,
    control: &Control,
) -> Option<()> {
    // SAFETY: reads the clock.
    let timestamp_ns = unsafe { bpf_ktime_get_ns() };
    let counters = SLOT_COUNTERS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU value, and hooks on one CPU do not interrupt each other.
    let counters = unsafe { &mut *counters };
    if timestamp_ns >= control.first_deadline_ns {
        workspace.slots = in_time(workspace.slots, timestamp_ns);
    }
    let len = packet.len();
    let vlan = packet.vlan();
    let wire_len = if vlan.protocol != 0 {
        len + VLAN_TAG_LEN
    } else {
        len
    };
    let slots = forget(workspace).slots;
    if slots == 0 {
        return None;
    }
    tally::add(&mut counters.matched, slots);
    let oversize = if slots & control.discard_oversize != 0 {
        oversize(control, slots, wire_len)
    } else {
        0
    };
    if oversize != 0 {
        tally::add(&mut counters.oversize_discarded, oversize);
    }
    let slots = slots & !oversize;
    if slots == 0 {
        return None;
    }
    // SAFETY: reads the CPU's number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let scratch = SCRATCH.get_ptr_mut(cpu)?;
    // SAFETY: this CPU's entry, and hooks on one CPU do not interrupt each other.
    let scratch = unsafe { &mut *scratch };
    workspace.max_bytes = most_kept(control, slots);
    let captured_len = capture_len(len, forget(workspace).max_bytes);
    scratch.header = RecordHeader {
        timestamp_ns,
        slots,
        ifindex: packet.ifindex(),
        generation: control.generation,
        original_len: len,
        captured_len,
        vlan,
        direction: direction as u8,
        reserved: [0; 3],
    };
    // SAFETY: `captured_len` is at most the frame's room.
    if let Err(error) = unsafe { copy(packet, scratch, captured_len) } {
        tally::add(&mut counters.copy_failed, slots);
        // Off, and removed by the verifier, unless the agent logs at debug level.
        debug!(
            (),
            "cannot read {} bytes of a frame: error {}", captured_len, error
        );
        return None;
    }
    if !submit(cpu, scratch, captured_len) {
        tally::add(&mut counters.ring_full, slots);
    }
    Some(())
}

/// Copies the first `len` bytes of the packet into the scratch entry. What is short and in the linear
/// part is copied here, in words: without the helper and its `memcpy` a match of 128 bytes costs 131 ns
/// and not 156.
///
/// # Safety
/// `len` must be at least 1 and at most [`MAX_CAPTURE_LEN`].
#[inline(always)]
unsafe fn copy<P: Packet>(packet: &P, scratch: &mut Scratch, len: u32) -> Result<(), i64> {
    let target = scratch.frame.as_mut_ptr();
    let linear = Linear::of(packet);
    let len_here = len as usize;
    // SAFETY: all within the frame's room. The two spans may overlap; the masks are for the verifier.
    let copied = unsafe {
        match len_here {
            64..=128 => {
                let rest = opaque(len_here - 64) & 0x7f;
                linear.copy::<64>(0, target) && linear.copy::<64>(rest, target)
            }
            32..64 => {
                let rest = opaque(len_here - 32) & 0x3f;
                linear.copy::<32>(0, target) && linear.copy::<32>(rest, target)
            }
            _ => false,
        }
    };
    if copied {
        return Ok(());
    }
    // SAFETY: as the caller says.
    unsafe { packet.load_bytes(0, target, len) }
}

/// Those of `slots` whose deadline is not over; a walk over the tasks, but only between the moment that
/// the first of them is over and that in which the agent ends it.
#[inline(always)]
fn in_time(slots: u64, now: u64) -> u64 {
    let mut in_time = 0;
    for slot in 0..MAX_SLOTS as u32 {
        let bit = 1 << slot;
        if slots & bit != 0
            && let Some(task) = SLOTS.get(slot)
            && now < task.deadline_ns
        {
            in_time |= bit;
        }
    }
    in_time
}

/// Bytes kept of a frame of `len` bytes, 1 to [`MAX_CAPTURE_LEN`]; no hook sees an empty frame.
#[inline(always)]
fn capture_len(len: u32, max_bytes: u32) -> u32 {
    const { assert!(MAX_CAPTURE_LEN.is_power_of_two()) };
    let len = if len > max_bytes { max_bytes } else { len };
    let len = if len > MAX_CAPTURE_LEN as u32 {
        MAX_CAPTURE_LEN as u32
    } else {
        len
    };
    // The same once more in a form of which LLVM knows nothing and the verifier everything.
    let len = (opaque(len as usize).wrapping_sub(1) & (MAX_CAPTURE_LEN - 1)) + 1;
    len as u32
}

/// Copies the record into the ring of the CPU; false where there is no room.
#[inline(always)]
fn submit(cpu: u32, scratch: &mut Scratch, captured_len: u32) -> bool {
    let Some(ring) = RINGS.get(cpu) else {
        return false;
    };
    let len = RECORD_HEADER_LEN + captured_len as usize;
    scratch.unannounced += len as u64;
    let flags = if scratch.unannounced > WAKEUP_BYTES.load() {
        scratch.unannounced = 0;
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    // SAFETY: header and frame lie one behind the other, and `captured_len` bytes of the frame are
    // initialised.
    let record = unsafe {
        core::slice::from_raw_parts(core::ptr::from_ref(&scratch.header).cast::<u8>(), len)
    };
    ring.output_untyped::<[u8]>(record, u64::from(flags))
        .is_ok()
}
