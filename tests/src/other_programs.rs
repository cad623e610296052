//! Programs of somebody else on an interface: a few instructions that count what they are shown in an
//! array map and give a fixed verdict, put together by hand and loaded by bpf(2), so that nothing of
//! the product is in them.

use std::{
    io::Error,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    process::Command,
};

use tempfile::TempDir;

use crate::{netns::Netns, output};

/// `enum bpf_cmd` in include/uapi/linux/bpf.h.
const MAP_CREATE: libc::c_long = 0;
const MAP_LOOKUP_ELEM: libc::c_long = 1;
const PROG_LOAD: libc::c_long = 5;
const OBJ_PIN: libc::c_long = 6;
const LINK_CREATE: libc::c_long = 28;
/// `BPF_MAP_TYPE_ARRAY`.
const ARRAY: u32 = 2;
/// `enum bpf_prog_type`.
const SCHED_CLS: u32 = 3;
const XDP: u32 = 6;
/// `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;
const ATTACH_TCX_INGRESS: u32 = 46;
const ATTACH_TCX_EGRESS: u32 = 47;
/// `BPF_F_XDP_HAS_FRAGS`.
const HAS_FRAGS: u32 = 1 << 5;
/// `XDP_FLAGS_SKB_MODE` and `XDP_FLAGS_DRV_MODE` in include/uapi/linux/if_link.h.
const SKB_MODE: u32 = 1 << 1;
const DRIVER_MODE: u32 = 1 << 2;

/// `TCX_NEXT`, which is `TC_ACT_UNSPEC`: the next one decides.
pub const NEXT: i32 = -1;
/// `TCX_PASS`, which is `TC_ACT_OK`: nobody else is asked.
pub const PASS: i32 = 0;
/// `TCX_DROP`, which is `TC_ACT_SHOT`.
pub const DROP: i32 = 2;
const XDP_PASS: i32 = 2;

/// A way through an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What comes in.
    Ingress,
    /// What goes out.
    Egress,
}

/// A place among the TCX programs that are there at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all of them, `BPF_F_BEFORE`.
    First = 1 << 3,
    /// After all of them, `BPF_F_AFTER`.
    Last = 1 << 4,
}

/// How XDP hangs on an interface, and whether the program takes frames in several buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xdp {
    /// In the driver.
    Native,
    /// In the stack, each frame in one piece.
    Generic,
    /// In the stack, frames in several buffers too.
    GenericFrags,
}

/// A program on an interface. It goes when this is dropped; a filter goes with its namespace.
#[derive(Debug)]
pub struct Foreign {
    map: OwnedFd,
    _program: OwnedFd,
    _link: Option<OwnedFd>,
}

impl Foreign {
    /// A TCX link.
    pub fn tcx(namespace: &Netns, interface: &str, side: Side, place: Place, verdict: i32) -> Self {
        let (map, program) = load(SCHED_CLS, 0, verdict);
        let attach_type = match side {
            Side::Ingress => ATTACH_TCX_INGRESS,
            Side::Egress => ATTACH_TCX_EGRESS,
        };
        let link = link(namespace, interface, &program, attach_type, place as u32);
        Self {
            map,
            _program: program,
            _link: Some(link),
        }
    }

    /// An XDP link that passes everything.
    pub fn xdp(namespace: &Netns, interface: &str, how: Xdp) -> Self {
        let (load_flags, flags) = match how {
            Xdp::Native => (0, DRIVER_MODE),
            Xdp::Generic => (0, SKB_MODE),
            Xdp::GenericFrags => (HAS_FRAGS, SKB_MODE),
        };
        let (map, program) = load(XDP, load_flags, XDP_PASS);
        let link = link(namespace, interface, &program, ATTACH_XDP, flags);
        Self {
            map,
            _program: program,
            _link: Some(link),
        }
    }

    /// A `bpf` filter that decides by itself, on the interface's clsact qdisc.
    pub fn filter(namespace: &Netns, interface: &str, side: Side, verdict: i32) -> Self {
        let (map, program) = load(SCHED_CLS, 0, verdict);
        // tc takes programs that are pinned in a file system for them.
        let place = Bpffs::new();
        let path = place.0.path().join("program");
        let text = std::ffi::CString::new(path.to_str().expect("text")).expect("no NUL");
        let mut attr = [0_u64; 16];
        attr[0] = text.as_ptr() as u64;
        attr[1] = u64::from(program.as_raw_fd() as u32);
        bpf(OBJ_PIN, &mut attr);
        let side = match side {
            Side::Ingress => "ingress",
            Side::Egress => "egress",
        };
        let mut tc = Command::new("tc");
        tc.args(["-n", namespace.name(), "filter", "add", "dev", interface]);
        tc.args([side, "prio", "1", "bpf", "da", "pinned"]);
        output(tc.arg(&path));
        Self {
            map,
            _program: program,
            _link: None,
        }
    }

    /// Frames that it has been shown.
    pub fn frames(&self) -> u64 {
        self.value(0)
    }

    /// Their bytes; of tc programs alone.
    pub fn bytes(&self) -> u64 {
        self.value(1)
    }

    fn value(&self, key: u32) -> u64 {
        let mut value = 0_u64;
        let mut attr = [0_u64; 16];
        attr[0] = u64::from(self.map.as_raw_fd() as u32);
        attr[1] = (&raw const key) as u64;
        attr[2] = (&raw mut value) as u64;
        bpf(MAP_LOOKUP_ELEM, &mut attr);
        value
    }
}

/// A file system for pinned objects, gone when dropped.
struct Bpffs(TempDir);

impl Bpffs {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut mount = Command::new("mount");
        output(mount.args(["-t", "bpf", "none"]).arg(directory.path()));
        Self(directory)
    }
}

impl Drop for Bpffs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
    }
}

/// `struct bpf_insn`.
fn instruction(code: u8, target: u8, source: u8, offset: i16, immediate: i32) -> [u8; 8] {
    let [low, high] = offset.to_ne_bytes();
    let [a, b, c, d] = immediate.to_ne_bytes();
    [code, target | source << 4, low, high, a, b, c, d]
}

/// The instructions that add register 7 to an element of the map.
fn add(map: &OwnedFd, key: i32) -> Vec<[u8; 8]> {
    vec![
        // The key is put on the stack, and its address into r2.
        instruction(0x62, 10, 0, -4, key),
        instruction(0xbf, 2, 10, 0, 0),
        instruction(0x07, 2, 0, 0, -4),
        // r1 is the map: a load of 64 bits, which takes two instructions.
        instruction(0x18, 1, 1, 0, map.as_raw_fd()),
        instruction(0, 0, 0, 0, 0),
        // bpf_map_lookup_elem.
        instruction(0x85, 0, 0, 0, 1),
        instruction(0x15, 0, 0, 1, 0),
        // An atomic addition of r7 where r0 points to.
        instruction(0xdb, 0, 7, 0, 0),
    ]
}

/// Loads a program and its map.
fn load(kind: u32, flags: u32, verdict: i32) -> (OwnedFd, OwnedFd) {
    let mut attr = [0_u64; 16];
    // Type and size of keys, size of values and number of elements.
    attr[0] = u64::from(ARRAY) | 4 << 32;
    attr[1] = 8 | 2 << 32;
    let map = new_fd(MAP_CREATE, &mut attr);
    // r6 is the context.
    let mut code = vec![instruction(0xbf, 6, 1, 0, 0), instruction(0xb7, 7, 0, 0, 1)];
    code.extend(add(&map, 0));
    if kind == SCHED_CLS {
        // r7 is `len` of `struct __sk_buff`.
        code.push(instruction(0x61, 7, 6, 0, 0));
        code.extend(add(&map, 1));
    }
    code.push(instruction(0xb7, 0, 0, 0, verdict));
    code.push(instruction(0x95, 0, 0, 0, 0));
    let mut attr = [0_u64; 16];
    attr[0] = u64::from(kind) | (code.len() as u64) << 32;
    attr[1] = code.as_ptr() as u64;
    attr[2] = c"GPL".as_ptr() as u64;
    // `prog_flags` is the second half of the word at byte 40.
    attr[5] = u64::from(flags) << 32;
    (map, new_fd(PROG_LOAD, &mut attr))
}

fn link(
    namespace: &Netns,
    interface: &str,
    program: &OwnedFd,
    attach_type: u32,
    flags: u32,
) -> OwnedFd {
    namespace.within(|| {
        let index = nix::net::if_::if_nametoindex(interface)
            .unwrap_or_else(|error| panic!("{interface}: {error}"));
        let mut attr = [0_u64; 16];
        attr[0] = u64::from(program.as_raw_fd() as u32) | u64::from(index) << 32;
        attr[1] = u64::from(attach_type) | u64::from(flags) << 32;
        new_fd(LINK_CREATE, &mut attr)
    })
}

fn new_fd(command: libc::c_long, attr: &mut [u64; 16]) -> OwnedFd {
    let fd = bpf(command, attr);
    // SAFETY: the kernel has just made the descriptor, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn bpf(command: libc::c_long, attr: &mut [u64; 16]) -> i32 {
    // SAFETY: `attr` is as long as is said, zero where nothing is meant, and what it points to is
    // alive in the caller.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, attr.as_mut_ptr(), size_of_val(attr)) };
    assert!(
        result >= 0,
        "bpf command {command}: {}",
        Error::last_os_error()
    );
    result as i32
}
