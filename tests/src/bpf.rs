//! The calls of bpf(2) that tests and benchmarks make themselves, so that nothing of the product is in them: arrays,
//! programs, links, pins, runs on live frames. Attributes are as in include/uapi/linux/bpf.h.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

/// `enum bpf_cmd`.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const OBJ_PIN: libc::c_long = 6;
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_QUERY: libc::c_long = 16;
const LINK_CREATE: libc::c_long = 28;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `BPF_F_TEST_XDP_LIVE_FRAMES`: the verdict on each frame is carried out (Linux 5.18).
const LIVE_FRAMES: u32 = 2;
/// Frames between two looks at the work that they have made: what NAPI takes in one go.
const BATCH: u32 = 64;
/// Most programs on one side of an interface that [`attached`] gives.
const MOST_PROGRAMS: usize = 64;

/// `enum bpf_prog_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramType {
    /// `BPF_PROG_TYPE_SCHED_CLS`.
    Tc = 3,
    /// `BPF_PROG_TYPE_XDP`.
    Xdp = 6,
}

/// `enum bpf_attach_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachType {
    /// `BPF_XDP`.
    Xdp = 37,
    /// `BPF_TCX_INGRESS`.
    TcxIngress = 46,
    /// `BPF_TCX_EGRESS`.
    TcxEgress = 47,
}

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    /// An instruction by its parts.
    pub const fn new(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Self {
        Self {
            code,
            registers: destination | source << 4,
            offset,
            immediate,
        }
    }
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
struct MapElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

#[repr(C)]
struct ObjPin {
    pathname: u64,
    bpf_fd: u32,
    file_flags: u32,
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
struct ProgQuery {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    reserved: u32,
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

/// Makes a call.
///
/// # Safety
/// The structure must begin as the kernel's union does for this command, and what its pointers point to must be
/// as large as the kernel takes it for, and outlive the call.
unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<libc::c_long> {
    // SAFETY: the size is that of the structure; the rest is the caller's word.
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

/// A call that gives a descriptor.
///
/// # Safety
/// As of [`bpf`].
unsafe fn descriptor<T>(command: libc::c_long, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: by the caller.
    let fd = unsafe { bpf(command, attributes) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// An array map.
#[derive(Debug)]
pub struct Array {
    fd: OwnedFd,
    value_size: usize,
    entries: u32,
}

impl Array {
    /// Makes one, all zero.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(value_size: usize, entries: u32) -> io::Result<Self> {
        let mut attributes = MapCreate {
            map_type: ARRAY,
            key_size: size_of::<u32>() as u32,
            value_size: value_size as u32,
            max_entries: entries,
            map_flags: 0,
        };
        // SAFETY: the structure is that of the command, and has no pointers.
        let fd = unsafe { descriptor(MAP_CREATE, &mut attributes) }?;
        Ok(Self {
            fd,
            value_size,
            entries,
        })
    }

    /// Its number, for instructions that load it.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// A value.
    ///
    /// # Errors
    /// The kernel's.
    pub fn get(&self, key: u32) -> io::Result<Vec<u8>> {
        // The kernel copies whole words.
        let mut value = vec![0; self.value_size.next_multiple_of(8)];
        let mut attributes = self.element(&key, value.as_mut_ptr() as u64);
        // SAFETY: the structure is that of the command; the key has four bytes, and the value as many as were said.
        unsafe { bpf(MAP_LOOKUP_ELEM, &mut attributes) }?;
        value.truncate(self.value_size);
        Ok(value)
    }

    /// Sets a value.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set(&self, key: u32, value: &[u8]) -> io::Result<()> {
        assert_eq!(value.len(), self.value_size, "of {} entries", self.entries);
        let mut attributes = self.element(&key, value.as_ptr() as u64);
        // SAFETY: as of a lookup.
        unsafe { bpf(MAP_UPDATE_ELEM, &mut attributes) }?;
        Ok(())
    }

    fn element(&self, key: &u32, value: u64) -> MapElement {
        MapElement {
            map_fd: self.fd() as u32,
            padding: 0,
            key: std::ptr::from_ref(key) as u64,
            value,
            flags: 0,
        }
    }
}

/// Loads a program.
///
/// # Errors
/// The kernel's, also where the verifier refuses it.
pub fn load(kind: ProgramType, flags: u32, program: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attributes = ProgLoad {
        prog_type: kind as u32,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        prog_flags: flags,
        ..ProgLoad::default()
    };
    // SAFETY: the structure is that of the command; there are as many instructions, and the licence ends with NUL.
    unsafe { descriptor(PROG_LOAD, &mut attributes) }
}

/// Attaches a program to an interface of this thread's namespace, as long as the link is open.
///
/// # Errors
/// The kernel's.
pub fn link(
    program: &OwnedFd,
    ifindex: u32,
    attach_type: AttachType,
    flags: u32,
) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        prog_fd: program.as_raw_fd() as u32,
        target_ifindex: ifindex,
        attach_type: attach_type as u32,
        flags,
        ..LinkCreate::default()
    };
    // SAFETY: the structure is that of the command, and has no pointers.
    unsafe { descriptor(LINK_CREATE, &mut attributes) }
}

/// Gives an object a name in a mounted `bpf` file system.
///
/// # Errors
/// The kernel's.
pub fn pin(object: &OwnedFd, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attributes = ObjPin {
        pathname: path.as_ptr() as u64,
        bpf_fd: object.as_raw_fd() as u32,
        file_flags: 0,
    };
    // SAFETY: the structure is that of the command, and the path ends with NUL.
    unsafe { bpf(OBJ_PIN, &mut attributes) }?;
    Ok(())
}

/// Identifiers of the programs that are attached to an interface of this thread's namespace, in their order.
///
/// # Errors
/// The kernel's: EINVAL where it does not know the type.
pub fn attached(ifindex: u32, attach_type: AttachType) -> io::Result<Vec<u32>> {
    let mut ids = vec![0_u32; MOST_PROGRAMS];
    let mut attributes = ProgQuery {
        target_ifindex: ifindex,
        attach_type: attach_type as u32,
        prog_ids: ids.as_mut_ptr() as u64,
        count: MOST_PROGRAMS as u32,
        ..ProgQuery::default()
    };
    // SAFETY: the structure is that of the command, and there is room for `count` identifiers.
    unsafe { bpf(PROG_QUERY, &mut attributes) }?;
    ids.truncate(attributes.count as usize);
    Ok(ids)
}

/// Runs a program on `repeat` copies of a frame as if they came in by an interface of this thread's
/// namespace, and carries out its verdicts. Gives the nanoseconds of a run, preparations left out.
///
/// # Errors
/// The kernel's: EINVAL before Linux 5.18.
pub fn run_live(program: &OwnedFd, ifindex: u32, frame: &[u8], repeat: u32) -> io::Result<u32> {
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
    // SAFETY: the structure is that of the command; frame and context are as long as is said, and there is no room
    // for output.
    unsafe { bpf(PROG_TEST_RUN, &mut run) }?;
    Ok(run.duration)
}
