//! The way of a packet through a hook: count it, parse it, classify it, and hand the tasks that
//! matched to [`crate::emit`]. Nothing here changes the packet or its verdict.
//!
//! # Exclusion
//!
//! Of the programs on one CPU one runs at a time: each ends before the next one begins. So the per-CPU values
//! (workspace, counters, ring) are used without atomics. It rests on this, in the kernel's source:
//!
//! - A hook runs with softirqs off, and another one on that CPU can only begin in a softirq or where softirqs are
//!   off. tc egress: `rcu_read_lock_bh` in `__dev_queue_xmit` (net/core/dev.c). tc ingress and generic XDP:
//!   `__netif_receive_skb_core`, called from NAPI and from drivers that turn softirqs off (`tun_get_user` in
//!   drivers/net/tun.c). Native XDP: NAPI, in a softirq, or in a thread that turns them off
//!   (`napi_threaded_poll_loop` in net/core/dev.c).
//! - With softirqs off a task is not preempted, as `SOFTIRQ_DISABLE_OFFSET` is part of the preemption count
//!   (include/linux/preempt.h). With `PREEMPT_RT` it is, but other tasks then wait for `softirq_ctrl.lock`
//!   (`__local_bh_disable_ip` in kernel/softirq.c). Where that lock is optional, the agent does not load its programs
//!   (`refuse_nesting_hooks` in the engine).
//! - Hard interrupts send by netpoll, which calls the driver and no hook (`netpoll_start_xmit` in
//!   net/core/netpoll.c).
//! - No helper that the programs call receives or sends a packet.
//!
//! `BPF_PROG_TEST_RUN` leaves softirqs on before 6.11 (`bpf_test_run` in net/bpf/test_run.c). The tests and the
//! benchmark that run the programs so attach none. Somebody else's process needs CAP_SYS_ADMIN to do it, and could as
//! well write into the maps.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use capture_common::{
    Control, FRAGMENT_LIFETIME_NS, FragmentKey, FragmentVerdict, HookPoint, LinkLayer, MAX_SLOTS,
};
use capture_ebpf::{
    Fragment, Headers, Network, classify, have_addresses, parse, parse_quoted, unfiltered,
};

use crate::{
    emit::emit,
    lookup::{self, MapTables},
    maps::{CONTROL, FRAGMENTS, INTERFACE_COUNTERS, SLOTS, WORKSPACE, Workspace},
    packet::{Linear, NonLinear, Packet, reload},
};

/// Sees one packet. `None` is the usual way out: nobody wants it.
#[inline(always)]
pub(crate) fn handle<P: Packet>(packet: &P, hook: HookPoint) -> Option<()> {
    let ifindex = packet.ifindex();
    let place = lookup::place(ifindex, hook)?;
    let counters = INTERFACE_COUNTERS.get_ptr_mut(place.row)?;
    // SAFETY: a per-CPU value, which only programs write, and one at a time (see Exclusion).
    let counters = unsafe { &mut (*counters)[hook as usize] };
    counters.seen += 1;

    let control = CONTROL.get(0)?;
    let candidates = control.active & place.slots;
    if candidates == 0 {
        return None;
    }
    let workspace = workspace()?;
    workspace.slots = candidates;
    if candidates & !unfiltered(control) != 0 {
        headers(packet, place.link, &mut workspace.headers);
        let workspace = reload(workspace);
        if workspace.headers.malformed {
            counters.malformed += 1;
        }
        workspace.slots = matching(packet, hook, candidates, workspace, control);
    }
    let workspace = reload(workspace);
    if workspace.slots == 0 {
        return None;
    }
    emit(packet, hook.direction(), workspace, control)
}

/// Those of `candidates` that the packet matches by its headers, which are read.
#[inline(always)]
fn matching<P: Packet>(
    packet: &P,
    hook: HookPoint,
    candidates: u64,
    workspace: &mut Workspace,
    control: &Control,
) -> u64 {
    let tables = MapTables { control };
    let mut slots = classify(&tables, control, candidates, &workspace.headers);
    if workspace.headers.icmp != 0 {
        let asking = candidates & control.icmp_errors & !slots;
        if asking != 0 {
            slots |= quoting(packet, workspace, control, asking);
        }
    }
    if !matches!(workspace.headers.fragment, Fragment::No) {
        let at = (packet.ifindex(), hook);
        slots |= fragment_verdict(&workspace.headers, at, candidates, slots, control);
    }
    slots
}

#[inline(always)]
fn workspace() -> Option<&'static mut Workspace> {
    // SAFETY: a per-CPU value that only programs use, one at a time (see Exclusion), and each asks for it once.
    WORKSPACE
        .get_ptr_mut(0)
        .map(|workspace| unsafe { &mut *workspace })
}

#[inline(always)]
fn headers<P: Packet>(packet: &P, link: u32, headers: &mut Headers) {
    let link = if link == LinkLayer::None as u32 {
        LinkLayer::None
    } else {
        LinkLayer::Ethernet
    };
    let linear = Linear::of(packet);
    parse(&linear, link, headers);
    if headers.malformed && linear.len() < packet.len() as usize {
        parse(&NonLinear::of(packet), link, headers);
    }
}

/// Those of `asking` to whose packets the ICMP error belongs. Such messages are rare: all is read by
/// the helper.
#[inline(always)]
fn quoting<P: Packet>(
    packet: &P,
    workspace: &mut Workspace,
    control: &Control,
    asking: u64,
) -> u64 {
    let Headers { icmp, network, .. } = workspace.headers;
    if !parse_quoted(
        &NonLinear::of(packet),
        usize::from(icmp),
        network,
        &mut workspace.quoted,
    ) {
        return 0;
    }
    let workspace = reload(workspace);
    classify(&MapTables { control }, control, asking, &workspace.quoted)
}

/// Remembers a first fragment's verdict, and gives it to the later ones.
#[inline(always)]
fn fragment_verdict(
    headers: &Headers,
    (ifindex, hook): (u32, HookPoint),
    candidates: u64,
    slots: u64,
    control: &Control,
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
        reserved: [0; 5],
    };
    match headers.fragment {
        Fragment::First => {
            if slots != 0 {
                // SAFETY: reads the clock.
                let now = unsafe { bpf_ktime_get_ns() };
                let verdict = FragmentVerdict {
                    slots,
                    timestamp_ns: now,
                };
                // A full table evicts old entries. Where that fails, the later fragments go without a verdict.
                let _ = FRAGMENTS.insert(key, verdict, 0);
            } else {
                // The identification may be in use again, by a datagram that nobody wants.
                let _ = FRAGMENTS.remove(key);
            }
            0
        }
        Fragment::Later => {
            let others = candidates & !slots;
            // An ICMP error has other addresses than the packet for which the first one was taken.
            let others = others & control.icmp_errors
                | have_addresses(&MapTables { control }, control, others, headers);
            if others == 0 {
                // Whatever the first fragment was, it was none of theirs.
                return 0;
            }
            // SAFETY: integers, valid whatever is written meanwhile. Another CPU may evict the element and use it for
            // another datagram before it is read, some nanoseconds from here: this one fragment is then given to the
            // tasks of that datagram, as far as they are among `others`.
            let Some(verdict) = (unsafe { FRAGMENTS.get(key) }) else {
                return 0;
            };
            // SAFETY: reads the clock.
            let now = unsafe { bpf_ktime_get_ns() };
            if now.wrapping_sub(verdict.timestamp_ns) > FRAGMENT_LIFETIME_NS {
                return 0;
            }
            entitled(verdict.slots & others, verdict.timestamp_ns)
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
