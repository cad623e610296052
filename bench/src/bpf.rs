//! The few calls of bpf(2) that the generator and the empty programs need, with attributes as in
//! include/uapi/linux/bpf.h: an array, its entries, a program, runs of it on live frames, and a link.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

/// `enum bpf_cmd`.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const LINK_CREATE: libc::c_long = 28;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// tc ingress, by TCX (Linux 6.6).
    Tc,
    /// Native XDP.
    Xdp,
}

/// `BPF_F_TEST_XDP_LIVE_FRAMES`: the verdict on each frame is carried out (Linux 5.18).
const LIVE_FRAMES: u32 = 2;
/// Frames between two looks at the work that they have made: what NAPI takes in one go.
const BATCH: u32 = 64;

/// One instruction (`struct bpf_insn`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instruction {
    pub(crate) code: u8,
    /// Destination in the low half, source in the high half.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
}

#[repr(C)]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
}

#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
    rest: [u64; 4],
}

#[repr(C)]
#[derive(Default)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// `struct xdp_md`.
#[repr(C)]
struct Context {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: each attribute structure begins as the kernel's union does for its command, what its
    // pointers point to outlives the call, and its size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_mut(attributes),
            size_of::<T>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn descriptor<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    let fd = bpf(command, attributes)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// An array of one value, which programs address directly.
pub(crate) fn global(value: &[u8]) -> Result<OwnedFd> {
    let map = descriptor(
        MAP_CREATE,
        &mut MapCreate {
            map_type: ARRAY,
            key_size: 4,
            value_size: value.len() as u32,
            max_entries: 1,
            map_flags: 0,
        },
    )
    .context("making the generator's table")?;
    let key = 0_u32;
    let mut update = MapUpdate {
        map_fd: map.as_raw_fd() as u32,
        padding: 0,
        key: &raw const key as u64,
        value: value.as_ptr() as u64,
        flags: 0,
    };
    bpf(MAP_UPDATE_ELEM, &mut update).context("filling the generator's table")?;
    Ok(map)
}

/// Loads a program.
pub(crate) fn load(hook: Hook, program: &[Instruction]) -> Result<OwnedFd> {
    let mut attributes = ProgLoad {
        prog_type: hook.program_type(),
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
    };
    descriptor(PROG_LOAD, &mut attributes).context("the kernel refuses a program of the benchmark")
}

/// Attaches a program to an interface of this thread's namespace, as long as the link is open.
pub(crate) fn attach(hook: Hook, program: &OwnedFd, ifindex: u32) -> Result<OwnedFd> {
    // enum bpf_attach_type; XDP_FLAGS_DRV_MODE.
    let (attach_type, flags) = match hook {
        Hook::Tc => (46, 0),
        Hook::Xdp => (37, 4),
    };
    let mut attributes = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type,
        flags,
        ..LinkCreate::default()
    };
    descriptor(LINK_CREATE, &mut attributes).context("cannot attach an empty program")
}

impl Hook {
    /// `enum bpf_prog_type`.
    fn program_type(self) -> u32 {
        match self {
            Self::Tc => 3,
            Self::Xdp => 6,
        }
    }
}

/// Runs a program on `repeat` copies of a frame as if they came in by an interface of this thread's
/// namespace, and carries out its verdicts. Gives the nanoseconds of a run, preparations left out.
pub(crate) fn run_live(
    program: &OwnedFd,
    ifindex: u32,
    frame: &[u8],
    repeat: u32,
) -> io::Result<u32> {
    let context = Context {
        data: 0,
        data_end: frame.len() as u32,
        data_meta: 0,
        ingress_ifindex: ifindex,
        rx_queue_index: 0,
        egress_ifindex: 0,
    };
    let mut run = TestRun {
        prog_fd: program.as_raw_fd() as u32,
        data_size_in: frame.len() as u32,
        data_in: frame.as_ptr() as u64,
        repeat,
        ctx_size_in: size_of::<Context>() as u32,
        ctx_in: &raw const context as u64,
        flags: LIVE_FRAMES,
        batch_size: BATCH.min(repeat),
        ..TestRun::default()
    };
    bpf(PROG_TEST_RUN, &mut run)?;
    Ok(run.duration)
}
