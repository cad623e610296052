//! Programs that do nothing: what `BPF_PROG_TEST_RUN` itself costs, which the benchmark subtracts.
//! The agent never loads them.

use aya_ebpf::{
    bindings::{TC_ACT_UNSPEC, xdp_action::XDP_PASS},
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// For the tc programs.
#[classifier]
pub(crate) fn empty_tc(_: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// For the XDP programs.
#[xdp(frags)]
pub(crate) fn empty_xdp(_: XdpContext) -> u32 {
    XDP_PASS
}
