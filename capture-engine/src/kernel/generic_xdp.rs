//! Where tc at ingress would be shown frames without their link header, which is a flaw of the kernel
//! since 6.9. Generic XDP copies a frame for a program that takes frames in several buffers, unless
//! the frame is unshared, in one piece and has 256 bytes of room before it, as few have
//! (`netif_skb_check_for_xdp` in net/core/dev.c). The copy (`skb_pp_cow_data`) has no `mac_len`, and by
//! that length every tc program at ingress is given the header back: on this interface, and on those
//! above it to which the stack hands the same frame on. For a program that wants each frame in one
//! piece, as ours for generic XDP, the frame stays the same and nothing is lost.

use std::{
    io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use aya_obj::generated::{
    BPF_EXIT, BPF_JMP, bpf_attach_type, bpf_cmd, bpf_map_type, bpf_prog_type,
};

use super::{
    KernelVersion,
    call::{bpf, bpf_fd, empty},
};
use crate::interfaces::{Link, Links};

/// Devices that get the frames of the one below them as they are (`another_round` in
/// net/core/dev.c), and not as new ones.
const ABOVE_ONE: [&str; 5] = ["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap"];
/// The same of those that have several below them.
const ABOVE_MANY: [&str; 2] = ["bond", "team"];

/// Why tc at ingress of an interface would be shown frames without link header, if it would. The caller's own program
/// for generic XDP is told by its identifier, which needs no privilege.
pub(crate) fn no_link_header(
    links: &Links,
    release: KernelVersion,
    ifindex: u32,
    own: Option<u32>,
) -> Option<String> {
    if release < KernelVersion::GENERIC_XDP_FRAGS {
        return None;
    }
    let spoils = |program| Some(program) != own && pieces(program) != Pieces::One;
    let source = source(links, ifindex, &spoils)?;
    let here = links.get(ifindex)?;
    let place = if source.entry.ifindex == ifindex {
        here.entry.name.clone()
    } else {
        format!("{}, below {},", source.entry.name, here.entry.name)
    };
    let shows = match source.generic_xdp.map(pieces) {
        Some(Pieces::Unknown) => {
            "this kernel may show tc at ingress frames without their link header (which kind of program it is can only be seen with CAP_SYS_ADMIN)"
        }
        _ => "this kernel shows tc at ingress frames without their link header",
    };
    Some(format!(
        "{place} has a generic XDP program of somebody else, behind which {shows}"
    ))
}

/// The interface, this one or below it, whose generic XDP program spoils the frames.
fn source<'a>(links: &'a Links, ifindex: u32, spoils: &dyn Fn(u32) -> bool) -> Option<&'a Link> {
    let mut pending = vec![ifindex];
    let mut seen = Vec::new();
    while let Some(ifindex) = pending.pop() {
        if seen.contains(&ifindex) {
            continue;
        }
        seen.push(ifindex);
        let Some(link) = links.get(ifindex) else {
            continue;
        };
        if link.generic_xdp.is_some_and(spoils) {
            return Some(link);
        }
        if ABOVE_ONE.contains(&link.kind.as_str()) {
            pending.extend(link.lower);
        }
        if ABOVE_MANY.contains(&link.kind.as_str()) {
            let ports = links.iter().filter(|port| port.master == Some(ifindex));
            pending.extend(ports.map(|port| port.entry.ifindex));
        }
    }
    None
}

/// How an XDP program takes frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pieces {
    /// Each in one piece.
    One,
    /// Those of several buffers too.
    Several,
    /// Looking at a program that is not the caller's own needs CAP_SYS_ADMIN, which is not held.
    Unknown,
}

/// How an XDP program takes frames. The kernel does not say; but an array of programs takes only such as are
/// alike in this.
fn pieces(program: u32) -> Pieces {
    let theirs = match program_by_id(program) {
        Ok(theirs) => theirs,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Pieces::Unknown,
        // It has gone meanwhile, and the next look tells; until then the worse is assumed.
        Err(_) => return Pieces::Several,
    };
    // Newer kernels want the attach type to be the same, too, of which there are two for XDP.
    let one = [0, bpf_attach_type::BPF_XDP as u32]
        .into_iter()
        .any(|attach_type| {
            let alike = || -> io::Result<()> {
                let array = program_array()?;
                let plain = plain_program(attach_type)?;
                put(&array, &plain)?;
                put(&array, &theirs)
            };
            alike().is_ok()
        });
    if one { Pieces::One } else { Pieces::Several }
}

fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let mut attr = empty();
    attr.__bindgen_anon_6.__bindgen_anon_1.prog_id = id;
    // SAFETY: the command makes a descriptor, and has no pointer.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_GET_FD_BY_ID, &mut attr) }
}

fn program_array() -> io::Result<OwnedFd> {
    let mut attr = empty();
    attr.__bindgen_anon_1.map_type = bpf_map_type::BPF_MAP_TYPE_PROG_ARRAY as u32;
    attr.__bindgen_anon_1.key_size = 4;
    attr.__bindgen_anon_1.value_size = 4;
    attr.__bindgen_anon_1.max_entries = 1;
    // SAFETY: the command makes a descriptor, and has no pointer here.
    unsafe { bpf_fd(bpf_cmd::BPF_MAP_CREATE, &mut attr) }
}

/// An XDP program for frames in one piece that does nothing. It is never run.
fn plain_program(attach_type: u32) -> io::Result<OwnedFd> {
    /// BPF_ALU64 | BPF_MOV | BPF_K (include/uapi/linux/bpf.h): r0 = 0.
    const MOVE: u8 = 0xb7;
    let instructions: [[u8; 8]; 2] = [
        [MOVE, 0, 0, 0, 0, 0, 0, 0],
        [(BPF_JMP | BPF_EXIT) as u8, 0, 0, 0, 0, 0, 0, 0],
    ];
    let mut attr = empty();
    attr.__bindgen_anon_3.prog_type = bpf_prog_type::BPF_PROG_TYPE_XDP as u32;
    attr.__bindgen_anon_3.insns = instructions.as_ptr() as u64;
    attr.__bindgen_anon_3.insn_cnt = instructions.len() as u32;
    attr.__bindgen_anon_3.license = c"GPL".as_ptr() as u64;
    attr.__bindgen_anon_3.expected_attach_type = attach_type;
    // SAFETY: the command makes a descriptor. It reads the instructions, which outlive the call, and the license.
    unsafe { bpf_fd(bpf_cmd::BPF_PROG_LOAD, &mut attr) }
}

fn put(array: &OwnedFd, program: &OwnedFd) -> io::Result<()> {
    let (key, value) = (0_u32, program.as_raw_fd());
    let mut attr = empty();
    attr.__bindgen_anon_2.map_fd = array.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = (&raw const key) as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = (&raw const value) as u64;
    // SAFETY: the command reads a key and a value of four bytes each, the sizes of a `program_array`.
    unsafe { bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr) }.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, kind: &str, lower: Option<u32>, program: Option<u32>) -> Link {
        Link {
            lower,
            generic_xdp: program,
            ..Link::of_kind(ifindex, kind)
        }
    }

    fn find_source(links: Vec<Link>, ifindex: u32) -> Option<u32> {
        let links = links.into_iter().collect();
        source(&links, ifindex, &|program| program == 9).map(|link| link.entry.ifindex)
    }

    #[test]
    fn frames_are_followed_down_to_where_they_come_in() {
        let links = vec![
            link(1, "veth", Some(7), Some(9)),
            link(2, "vlan", Some(1), None),
            link(3, "macvlan", Some(2), None),
            // A tunnel, and the other end of a veth pair, make new frames of what they are given.
            link(4, "vxlan", Some(1), None),
            link(7, "veth", Some(1), None),
            link(8, "veth", None, Some(5)),
        ];
        let sources = [1, 2, 3, 4, 7, 8, 99].map(|ifindex| find_source(links.clone(), ifindex));
        assert_eq!(sources, [Some(1), Some(1), Some(1), None, None, None, None]);
    }

    #[test]
    fn a_bond_is_above_all_its_ports_and_a_bridge_is_not() {
        let port = |ifindex, program| Link {
            master: Some(10),
            ..link(ifindex, "", None, program)
        };
        let with = |kind| vec![link(10, kind, None, None), port(1, None), port(2, Some(9))];
        assert_eq!(find_source(with("bond"), 10), Some(2));
        assert_eq!(find_source(with("bridge"), 10), None);
    }

    #[test]
    fn links_that_name_each_other_come_to_an_end() {
        let links = vec![
            link(1, "macvlan", Some(2), None),
            link(2, "macvlan", Some(1), None),
        ];
        assert_eq!(find_source(links, 1), None);
    }
}
