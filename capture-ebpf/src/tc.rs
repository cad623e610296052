//! The tc programs, one for each direction; the same for TCX and for clsact.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_UNSPEC},
    helpers::generated::bpf_skb_load_bytes,
    macros::classifier,
    programs::TcContext,
};
use capture_common::{HookPoint, VlanTag};

use crate::{packet::Packet, path::handle};

/// tc ingress. `TC_ACT_UNSPEC` is `TCX_NEXT`: the next program, or the stack, decides.
#[classifier]
#[inline(always)]
pub(crate) fn capture_tc_ingress(ctx: TcContext) -> i32 {
    let _ = handle(&Skb(ctx.skb.skb), HookPoint::TcIngress);
    TC_ACT_UNSPEC
}

/// tc egress.
#[classifier]
#[inline(always)]
pub(crate) fn capture_tc_egress(ctx: TcContext) -> i32 {
    let _ = handle(&Skb(ctx.skb.skb), HookPoint::TcEgress);
    TC_ACT_UNSPEC
}

struct Skb(*mut __sk_buff);

impl Packet for Skb {
    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: the context of the program.
        unsafe { (*self.0).ifindex }
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: the context of the program.
        unsafe { (*self.0).len }
    }

    #[inline(always)]
    fn linear(&self) -> (usize, usize) {
        // SAFETY: the context of the program.
        unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) }
    }

    #[inline(always)]
    fn vlan(&self) -> VlanTag {
        // SAFETY: the context of the program.
        unsafe {
            if (*self.0).vlan_present == 0 {
                return VlanTag::default();
            }
            VlanTag {
                // The kernel gives the protocol in network byte order, the control in the host's
                // (`__sk_buff` in include/uapi/linux/bpf.h, convert_ctx_access in net/core/filter.c).
                protocol: u16::from_be((*self.0).vlan_proto as u16),
                control: (*self.0).vlan_tci as u16,
            }
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(&self, offset: u32, target: *mut u8, len: u32) -> Result<(), i64> {
        // SAFETY: the caller vouches for `target`.
        match unsafe { bpf_skb_load_bytes(self.0.cast(), offset, target.cast(), len) } {
            0 => Ok(()),
            error => Err(error),
        }
    }
}
