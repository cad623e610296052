//! The XDP programs, for ingress: one that takes frames in several buffers (5.18), for native XDP, and one that wants
//! each frame in one piece, for generic XDP and for native XDP of older kernels.

use aya_ebpf::{
    bindings::{xdp_action::XDP_PASS, xdp_md},
    helpers::generated::{bpf_probe_read_kernel, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    macros::xdp,
    programs::XdpContext,
};
use capture_common::{HookPoint, VlanTag};

use crate::{packet::Packet, path::handle};

/// Native XDP since 5.18.
#[xdp(frags)]
#[inline(always)]
pub(crate) fn capture_xdp_frags(ctx: XdpContext) -> u32 {
    let _ = handle(&Fragmented(ctx.ctx), HookPoint::Xdp);
    XDP_PASS
}

/// Generic XDP, and native XDP before 5.18.
#[xdp]
#[inline(always)]
pub(crate) fn capture_xdp(ctx: XdpContext) -> u32 {
    let _ = handle(&Contiguous(ctx.ctx), HookPoint::Xdp);
    XDP_PASS
}

/// A frame that may lie in several buffers.
struct Fragmented(*mut xdp_md);

/// A frame in one buffer.
struct Contiguous(*mut xdp_md);

#[inline(always)]
fn ifindex(ctx: *mut xdp_md) -> u32 {
    // SAFETY: the context of the program.
    unsafe { (*ctx).ingress_ifindex }
}

#[inline(always)]
fn linear(ctx: *mut xdp_md) -> (usize, usize) {
    // SAFETY: the context of the program.
    unsafe { ((*ctx).data as usize, (*ctx).data_end as usize) }
}

impl Packet for Fragmented {
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        ifindex(self.0)
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: the context of the program.
        unsafe { bpf_xdp_get_buff_len(self.0) as u32 }
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        linear(self.0)
    }

    /// XDP does not see a tag that the NIC stripped.
    #[inline(always)]
    fn vlan(&self) -> VlanTag {
        VlanTag::default()
    }

    #[inline(always)]
    unsafe fn load_bytes(&self, offset: u32, target: *mut u8, len: u32) -> Result<(), i64> {
        // SAFETY: the caller vouches for `target`.
        match unsafe { bpf_xdp_load_bytes(self.0, offset, target.cast(), len) } {
            0 => Ok(()),
            error => Err(error),
        }
    }
}

impl Packet for Contiguous {
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        ifindex(self.0)
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        let (start, end) = linear(self.0);
        (end - start) as u32
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        linear(self.0)
    }

    #[inline(always)]
    fn vlan(&self) -> VlanTag {
        VlanTag::default()
    }

    /// `bpf_xdp_load_bytes` is of 5.18, and `bpf_ringbuf_output` takes no packet memory.
    #[inline(always)]
    unsafe fn load_bytes(&self, offset: u32, target: *mut u8, len: u32) -> Result<(), i64> {
        let (start, end) = linear(self.0);
        let first = start + offset as usize;
        if first + len as usize > end {
            return Err(-1);
        }
        // SAFETY: the caller vouches for `target`; the source lies within the frame.
        match unsafe { bpf_probe_read_kernel(target.cast(), len, first as *const _) } {
            0 => Ok(()),
            error => Err(error),
        }
    }
}
