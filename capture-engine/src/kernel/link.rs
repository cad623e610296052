//! Links: programs on interfaces for as long as a descriptor is open (`link_create` in kernel/bpf/syscall.c). The kernel
//! asks for no capability here, only for the descriptor of a loaded program.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    BPF_F_AFTER, BPF_F_BEFORE, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, bpf_attach_type, bpf_cmd,
};
use capture_common::HookPoint;

use super::call::{bpf_fd, empty};

/// Puts a program on an interface by TCX (6.6): first in and last out, the view of tcpdump.
pub(super) fn tcx(program: BorrowedFd<'_>, ifindex: u32, point: HookPoint) -> io::Result<OwnedFd> {
    let (attach_type, order) = match point {
        HookPoint::TcEgress => (bpf_attach_type::BPF_TCX_EGRESS, BPF_F_AFTER),
        _ => (bpf_attach_type::BPF_TCX_INGRESS, BPF_F_BEFORE),
    };
    // Before or after no other program in particular is at the very end.
    create(program, ifindex, attach_type, order)
}

/// Where XDP runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum XdpMode {
    /// In the driver.
    Native,
    /// In the stack.
    Generic,
}

/// Puts a program on an interface by XDP.
pub(super) fn xdp(program: BorrowedFd<'_>, ifindex: u32, mode: XdpMode) -> io::Result<OwnedFd> {
    let flags = match mode {
        XdpMode::Native => XDP_FLAGS_DRV_MODE,
        XdpMode::Generic => XDP_FLAGS_SKB_MODE,
    };
    create(program, ifindex, bpf_attach_type::BPF_XDP, flags)
}

fn create(
    program: BorrowedFd<'_>,
    ifindex: u32,
    attach_type: bpf_attach_type,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attr = empty();
    attr.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attr.link_create.__bindgen_anon_2.target_ifindex = ifindex;
    attr.link_create.attach_type = attach_type as u32;
    attr.link_create.flags = flags;
    // SAFETY: the command makes a descriptor, and has no pointer for these types.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}
