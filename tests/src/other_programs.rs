//! Programs of somebody else on an interface: a few instructions that count what they are shown in an
//! array map and give a fixed verdict, put together by hand and loaded by [`bpf`], so that
//! nothing of the product is in them.

use std::{os::fd::OwnedFd, process::Command};

use tempfile::TempDir;

use crate::{
    bpf::{self, Array, AttachType, Instruction, ProgramType},
    netns::Netns,
    output,
    traffic::Direction,
};

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

/// Where a program goes among the TCX programs that are there at the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
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
pub struct ForeignProgram {
    map: Array,
    _program: OwnedFd,
    _link: Option<OwnedFd>,
}

impl ForeignProgram {
    /// A TCX link.
    pub fn tcx(
        namespace: &Netns,
        interface: &str,
        direction: Direction,
        position: Position,
        verdict: i32,
    ) -> Self {
        let (map, program) = load(ProgramType::Tc, 0, verdict);
        let attach_type = match direction {
            Direction::Ingress => AttachType::TcxIngress,
            Direction::Egress => AttachType::TcxEgress,
        };
        let link = link(namespace, interface, &program, attach_type, position as u32);
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
        let (map, program) = load(ProgramType::Xdp, load_flags, XDP_PASS);
        let link = link(namespace, interface, &program, AttachType::Xdp, flags);
        Self {
            map,
            _program: program,
            _link: Some(link),
        }
    }

    /// A `bpf` filter that decides by itself, on the interface's clsact qdisc.
    pub fn filter(namespace: &Netns, interface: &str, direction: Direction, verdict: i32) -> Self {
        let (map, program) = load(ProgramType::Tc, 0, verdict);
        // tc takes programs that are pinned in a file system for them.
        let bpffs = Bpffs::new();
        let path = bpffs.0.path().join("program");
        bpf::pin(&program, &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let direction = match direction {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        };
        let mut tc = Command::new("tc");
        tc.args(["-n", namespace.name(), "filter", "add", "dev", interface]);
        tc.args([direction, "prio", "1", "bpf", "da", "pinned"]);
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
        let value = self.map.get(key).expect("an entry of the map");
        u64::from_ne_bytes(value.try_into().expect("eight bytes"))
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

/// The instructions that add register 7 to an element of the map.
fn add(map: &Array, key: i32) -> Vec<Instruction> {
    vec![
        // The key is put on the stack, and its address into r2.
        Instruction::new(0x62, 10, 0, -4, key),
        Instruction::new(0xbf, 2, 10, 0, 0),
        Instruction::new(0x07, 2, 0, 0, -4),
        // r1 is the map: a load of 64 bits, which takes two instructions.
        Instruction::new(0x18, 1, 1, 0, map.fd()),
        Instruction::new(0, 0, 0, 0, 0),
        // bpf_map_lookup_elem.
        Instruction::new(0x85, 0, 0, 0, 1),
        Instruction::new(0x15, 0, 0, 1, 0),
        // An atomic addition of r7 where r0 points to.
        Instruction::new(0xdb, 0, 7, 0, 0),
    ]
}

/// Loads a program and its map.
fn load(kind: ProgramType, flags: u32, verdict: i32) -> (Array, OwnedFd) {
    let map = Array::new(size_of::<u64>(), 2).unwrap_or_else(|error| panic!("a map: {error}"));
    // r6 is the context.
    let mut code = vec![
        Instruction::new(0xbf, 6, 1, 0, 0),
        Instruction::new(0xb7, 7, 0, 0, 1),
    ];
    code.extend(add(&map, 0));
    if kind == ProgramType::Tc {
        // r7 is `len` of `struct __sk_buff`.
        code.push(Instruction::new(0x61, 7, 6, 0, 0));
        code.extend(add(&map, 1));
    }
    code.push(Instruction::new(0xb7, 0, 0, 0, verdict));
    code.push(Instruction::new(0x95, 0, 0, 0, 0));
    let program = bpf::load(kind, flags, &code).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    (map, program)
}

fn link(
    namespace: &Netns,
    interface: &str,
    program: &OwnedFd,
    attach_type: AttachType,
    flags: u32,
) -> OwnedFd {
    namespace.within(|| {
        let index = nix::net::if_::if_nametoindex(interface)
            .unwrap_or_else(|error| panic!("{interface}: {error}"));
        bpf::link(program, index, attach_type, flags)
            .unwrap_or_else(|error| panic!("{attach_type:?} on {interface}: {error}"))
    })
}
