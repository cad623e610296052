//! From a match to a record in the ring: deadlines, oversize, counters, the copy, and the wake-up of
//! the reader. One record serves all the tasks that matched.

use aya_ebpf::{
    Global,
    bindings::{BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
};
use aya_log_ebpf::debug;
use capture_common::{
    Direction, MAX_CAPTURE_LEN, MAX_SLOTS, RECORD_HEADER_LEN, RecordHeader, SlotCounters,
};

use crate::{
    maps::{RINGS, SCRATCH, SLOT_COUNTERS, SLOTS, Scratch, Workspace},
    path::{Packet, forget, opaque},
};

/// Bytes put into a ring before the reader is woken up; below that its timer finds them. Set by the
/// agent before the programs are loaded.
#[unsafe(no_mangle)]
static WAKEUP_BYTES: Global<u64> = Global::new(1 << 20);

/// Bytes of a VLAN tag, which user space puts back.
const VLAN_TAG_LEN: u32 = 4;

/// Writes one record for the tasks in `slots`; counts what each of them gets or loses.
#[inline(always)]
pub(crate) fn emit<P: Packet>(
    packet: &P,
    direction: Direction,
    workspace: &mut Workspace,
    generation: u32,
) -> Option<()> {
    // SAFETY: reads the clock.
    let timestamp_ns = unsafe { bpf_ktime_get_ns() };
    let counters = SLOT_COUNTERS.get_ptr_mut(0)?;
    // SAFETY: a per-CPU value, and hooks on one CPU do not interrupt each other.
    let counters = unsafe { &mut *counters };
    let len = packet.len();
    let vlan = packet.vlan();
    let wire_len = if vlan.protocol != 0 {
        len + VLAN_TAG_LEN
    } else {
        len
    };
    admit(workspace, timestamp_ns, wire_len, counters);
    let workspace = forget(workspace);
    let slots = workspace.slots;
    if slots == 0 {
        return None;
    }
    // SAFETY: reads the CPU's number.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let scratch = SCRATCH.get_ptr_mut(cpu)?;
    // SAFETY: this CPU's entry, and hooks on one CPU do not interrupt each other.
    let scratch = unsafe { &mut *scratch };
    let captured_len = capture_len(len, workspace.max_bytes);
    scratch.header = RecordHeader {
        timestamp_ns,
        slots,
        ifindex: packet.ifindex(),
        generation,
        original_len: len,
        captured_len,
        vlan,
        direction: direction as u8,
        reserved: [0; 3],
    };
    let target = scratch.frame.as_mut_ptr();
    // SAFETY: `captured_len` is at most the frame's room.
    if let Err(error) = unsafe { packet.load_bytes(0, target, captured_len) } {
        count(slots, counters, |counters| &mut counters.copy_failed);
        // Off, and removed by the verifier, unless the agent logs at debug level.
        debug!(
            (),
            "cannot read {} bytes of a frame: error {}", captured_len, error
        );
        return None;
    }
    if !submit(cpu, scratch, captured_len) {
        count(slots, counters, |counters| &mut counters.ring_full);
    }
    Some(())
}

/// Counts the match for each slot, and leaves in the workspace those that want the frame and the most
/// that any of them keeps of it.
#[inline(always)]
fn admit(
    workspace: &mut Workspace,
    now: u64,
    wire_len: u32,
    counters: &mut [SlotCounters; MAX_SLOTS],
) {
    let slots = workspace.slots;
    let mut admitted = 0;
    let mut max_bytes = 0;
    for slot in 0..MAX_SLOTS as u32 {
        let bit = 1 << slot;
        if slots & bit == 0 {
            continue;
        }
        let Some(task) = SLOTS.get(slot) else {
            continue;
        };
        if now >= task.deadline_ns {
            continue;
        }
        let counters = &mut counters[slot as usize];
        counters.matched += 1;
        counters.matched_bytes += u64::from(wire_len);
        if task.discard_oversize != 0 && wire_len > task.max_bytes {
            counters.oversize_discarded += 1;
            continue;
        }
        admitted |= bit;
        if task.max_bytes > max_bytes {
            max_bytes = task.max_bytes;
        }
    }
    workspace.slots = admitted;
    workspace.max_bytes = max_bytes;
}

/// Adds one to a counter of each slot.
#[inline(always)]
fn count(
    slots: u64,
    counters: &mut [SlotCounters; MAX_SLOTS],
    which: impl Fn(&mut SlotCounters) -> &mut u64,
) {
    for (slot, counters) in counters.iter_mut().enumerate() {
        if slots & (1 << slot) != 0 {
            *which(counters) += 1;
        }
    }
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
