//! From a match to a record: deadlines, oversize, counters, and how much of the frame is kept. One record
//! serves all the tasks that matched; [`crate::ring`] brings it into the ring.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_log_ebpf::debug;
use capture_common::{Control, Direction, MAX_CAPTURE_LEN, MAX_SLOTS, RecordHeader};
use capture_ebpf::{
    bit_sliced,
    limits::{most_kept, oversize},
};

use crate::{
    maps::{SLOT_COUNTERS, SLOTS, Workspace},
    packet::{Packet, barrier_var, reload},
    ring::{Outcome, write},
};

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
    // SAFETY: a per-CPU value, which only programs write, and one at a time (see Exclusion in `path`).
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
    let slots = reload(workspace).slots;
    if slots == 0 {
        return None;
    }
    bit_sliced::add(&mut counters.matched, slots);
    let oversize = if slots & control.discard_oversize != 0 {
        oversize(control, slots, wire_len)
    } else {
        0
    };
    if oversize != 0 {
        bit_sliced::add(&mut counters.oversize_discarded, oversize);
    }
    let slots = slots & !oversize;
    if slots == 0 {
        return None;
    }
    workspace.max_bytes = most_kept(control, slots);
    let captured_len = capture_len(len, reload(workspace).max_bytes);
    let header = RecordHeader {
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
    match write(packet, &header) {
        Outcome::Done => {}
        Outcome::Full => bit_sliced::add(&mut counters.ring_full, slots),
        Outcome::Unread(error) => {
            bit_sliced::add(&mut counters.copy_failed, slots);
            // Off, and removed by the verifier, unless the agent logs at debug level.
            debug!(
                (),
                "cannot read {} bytes of a frame: error {}", captured_len, error
            );
        }
    }
    Some(())
}

/// Those of `slots` whose deadline is not over. A walk over the tasks: it is made from the first deadline that is over
/// until the agent has removed that task.
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

/// Bytes kept of a frame of `len` bytes, 1 to [`MAX_CAPTURE_LEN`]. Of an empty frame, should a hook be given one, it is
/// more than there is: the copy fails, and is counted so.
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
    let len = (barrier_var(len as usize).wrapping_sub(1) & (MAX_CAPTURE_LEN - 1)) + 1;
    len as u32
}
