//! Route netlink: traffic control as far as [`super::clsact`] needs it (the qdisc and the filters of
//! an interface are listed, added and deleted), and the lists that [`super::generic_xdp`] reads. aya can attach a filter, but neither name
//! it nor delete a qdisc. Formats: rtnetlink(7), include/uapi/linux/{netlink,rtnetlink,pkt_cls}.h.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
};

use aya_obj::generated::{
    TC_H_CLSACT, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TCA_BPF_FD, TCA_BPF_FLAG_ACT_DIRECT,
    TCA_BPF_FLAGS, TCA_BPF_NAME, TCA_KIND, TCA_OPTIONS,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Length of `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// Length of `struct tcmsg`.
const TC_LEN: usize = 20;
/// Length of `struct nlattr`; it and its values are aligned to as much.
const ATTRIBUTE_LEN: usize = 4;
/// More than the kernel puts into one message of a dump.
const BUFFER_LEN: usize = 64 << 10;

/// A side of a clsact qdisc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClsactSide {
    /// What the interface receives.
    Ingress,
    /// What it sends.
    Egress,
}

impl ClsactSide {
    /// Both.
    pub(super) const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];

    fn parent(self) -> u32 {
        let minor = match self {
            Self::Ingress => TC_H_MIN_INGRESS,
            Self::Egress => TC_H_MIN_EGRESS,
        };
        (TC_H_CLSACT & 0xffff_0000) | minor
    }
}

/// A filter of a clsact qdisc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TcFilter {
    /// Lower ones come first.
    pub(super) priority: u16,
    /// EtherType that it is for, host byte order; `ETH_P_ALL` for all.
    pub(super) protocol: u16,
    /// Number within the priority; 0 for the priority as such.
    pub(super) handle: u32,
    /// `bpf`, `u32`, `matchall`, …
    pub(super) kind: String,
    /// Name of a `bpf` filter.
    pub(super) name: Option<String>,
}

/// A request to the kernel, under construction.
struct Request(Vec<u8>);

/// What follows the header of a netlink message about traffic control, `struct tcmsg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TcMsg {
    ifindex: u32,
    handle: u32,
    parent: u32,
    /// Of filters: priority in the upper half, EtherType in network byte order in the lower.
    info: u32,
}

/// One message of an answer.
pub(super) struct Answer<'a> {
    /// The structure that messages of this family begin with, whole.
    pub(super) header: &'a [u8],
    /// What follows it.
    pub(super) attributes: &'a [u8],
}

/// A route netlink socket.
pub(super) struct Netlink(OwnedFd);

impl Netlink {
    /// Opens one in the network namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self(socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?))
    }

    /// The kind of the qdisc in the place of clsact: `clsact`, `ingress`, or none.
    pub(super) fn qdisc(&self, ifindex: u32) -> io::Result<Option<String>> {
        let request = Request::new(libc::RTM_GETQDISC, libc::NLM_F_DUMP, for_qdisc(ifindex));
        let mut kind = None;
        self.ask(request, TC_LEN, |answer| {
            let tc = TcMsg::read(answer.header);
            // Older kernels list the qdiscs of all interfaces.
            if tc.ifindex == ifindex && tc.parent == TC_H_CLSACT {
                kind = attribute(answer.attributes, TCA_KIND).map(text);
            }
        })?;
        Ok(kind)
    }

    /// Adds a clsact qdisc.
    pub(super) fn add_clsact(&self, ifindex: u32) -> io::Result<()> {
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Request::new(libc::RTM_NEWQDISC, flags, for_qdisc(ifindex));
        request.attribute(TCA_KIND, b"clsact\0");
        self.ask(request, TC_LEN, |_| {})
    }

    /// Deletes the clsact qdisc, with all its filters.
    pub(super) fn delete_clsact(&self, ifindex: u32) -> io::Result<()> {
        self.ask(
            Request::new(libc::RTM_DELQDISC, 0, for_qdisc(ifindex)),
            TC_LEN,
            |_| {},
        )
    }

    /// The filters of one side, in the order in which they see a packet.
    pub(super) fn filters(&self, ifindex: u32, side: ClsactSide) -> io::Result<Vec<TcFilter>> {
        let tc = TcMsg {
            ifindex,
            parent: side.parent(),
            ..TcMsg::default()
        };
        let mut filters = Vec::new();
        self.ask(
            Request::new(libc::RTM_GETTFILTER, libc::NLM_F_DUMP, tc),
            TC_LEN,
            |answer| filters.push(TcFilter::read(&answer)),
        )?;
        Ok(filters)
    }

    /// Adds a `bpf` filter that decides by itself, for every EtherType.
    pub(super) fn add_filter(
        &self,
        ifindex: u32,
        side: ClsactSide,
        priority: u16,
        name: &str,
        program: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let tc = TcMsg {
            ifindex,
            handle: 0,
            parent: side.parent(),
            info: filter_info(priority, libc::ETH_P_ALL as u16),
        };
        let flags = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Request::new(libc::RTM_NEWTFILTER, flags, tc);
        request.attribute(TCA_KIND, b"bpf\0");
        request.nested(TCA_OPTIONS, |options| {
            options.attribute(TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes());
            options.attribute(TCA_BPF_NAME, &[name.as_bytes(), b"\0"].concat());
            options.attribute(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
        });
        self.ask(request, TC_LEN, |_| {})
    }

    /// Deletes one filter.
    pub(super) fn delete_filter(
        &self,
        ifindex: u32,
        side: ClsactSide,
        filter: &TcFilter,
    ) -> io::Result<()> {
        let tc = TcMsg {
            ifindex,
            handle: filter.handle,
            parent: side.parent(),
            info: filter_info(filter.priority, filter.protocol),
        };
        let mut request = Request::new(libc::RTM_DELTFILTER, 0, tc);
        request.attribute(TCA_KIND, &[filter.kind.as_bytes(), b"\0"].concat());
        self.ask(request, TC_LEN, |_| {})
    }

    /// Gives every object of a kind to `each`: a `RTM_GET…`, and the header of its family.
    pub(super) fn dump(
        &self,
        kind: u16,
        header: &[u8],
        each: impl FnMut(Answer<'_>),
    ) -> io::Result<()> {
        let request = Request::with_header(kind, libc::NLM_F_DUMP, header);
        self.ask(request, header.len(), each)
    }

    /// Sends a request and gives each message of the answer, with its header of `header_len` bytes, to
    /// `each`; returns at its end.
    fn ask(
        &self,
        request: Request,
        header_len: usize,
        mut each: impl FnMut(Answer<'_>),
    ) -> io::Result<()> {
        send(self.0.as_raw_fd(), &request.finish(), MsgFlags::empty())?;
        let mut buffer = vec![0; BUFFER_LEN];
        loop {
            let len = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            if read_answer(&buffer[..len], header_len, &mut each)? {
                return Ok(());
            }
        }
    }
}

impl TcMsg {
    fn bytes(self) -> [u8; TC_LEN] {
        let Self {
            ifindex,
            handle,
            parent,
            info,
        } = self;
        // Address family, and padding, come first.
        let fields = [0, ifindex, handle, parent, info].map(u32::to_ne_bytes);
        let mut bytes = [0; TC_LEN];
        bytes.copy_from_slice(fields.as_flattened());
        bytes
    }

    /// From a whole header.
    fn read(header: &[u8]) -> Self {
        let field = |index: usize| u32_at(header, 4 * index).unwrap_or_default();
        Self {
            ifindex: field(1),
            handle: field(2),
            parent: field(3),
            info: field(4),
        }
    }
}

impl Request {
    fn new(kind: u16, flags: i32, tc: TcMsg) -> Self {
        Self::with_header(kind, flags, &tc.bytes())
    }

    fn with_header(kind: u16, flags: i32, header: &[u8]) -> Self {
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags;
        let mut message = Vec::with_capacity(256);
        // The length comes last.
        message.extend(0_u32.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((flags as u16).to_ne_bytes());
        // Sequence number and sender: one question at a time, and the kernel knows us.
        message.extend([0; 8]);
        message.extend(header);
        Self(message)
    }

    fn attribute(&mut self, kind: u32, value: &[u8]) {
        self.nested(kind, |request| request.0.extend(value));
    }

    fn nested(&mut self, kind: u32, content: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind as u16).to_ne_bytes());
        content(self);
        let len = self.0.len() - start;
        self.0[start..start + 2].copy_from_slice(&(len as u16).to_ne_bytes());
        self.0
            .resize(start + len.next_multiple_of(ATTRIBUTE_LEN), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.0[..4].copy_from_slice(&len.to_ne_bytes());
        self.0
    }
}

impl TcFilter {
    fn read(answer: &Answer<'_>) -> Self {
        let name = attribute(answer.attributes, TCA_OPTIONS)
            .and_then(|options| attribute(options, TCA_BPF_NAME))
            .map(text);
        let kind = attribute(answer.attributes, TCA_KIND).map(text);
        let kind = kind.unwrap_or_default();
        let tc = TcMsg::read(answer.header);
        Self {
            priority: (tc.info >> 16) as u16,
            protocol: u16::from_be(tc.info as u16),
            handle: tc.handle,
            // What an option means depends on the kind.
            name: name.filter(|_| kind == "bpf"),
            kind,
        }
    }
}

fn for_qdisc(ifindex: u32) -> TcMsg {
    TcMsg {
        ifindex,
        handle: TC_H_CLSACT & 0xffff_0000,
        parent: TC_H_CLSACT,
        info: 0,
    }
}

fn filter_info(priority: u16, protocol: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(protocol.to_be())
}

/// Reads one datagram of an answer; true when the answer is at its end.
fn read_answer(
    mut messages: &[u8],
    header_len: usize,
    each: &mut impl FnMut(Answer<'_>),
) -> io::Result<bool> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "a netlink message is cut short");
    while !messages.is_empty() {
        let len = u32_at(messages, 0).ok_or_else(cut)? as usize;
        let kind = u32_at(messages, 4).ok_or_else(cut)? as u16;
        let message = messages.get(HEADER_LEN..len).ok_or_else(cut)?;
        match i32::from(kind) {
            // The end of a list, and of a change: both say how it went.
            libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                return match u32_at(message, 0).ok_or_else(cut)? as i32 {
                    error @ ..0 => Err(io::Error::from_raw_os_error(error.wrapping_neg())),
                    _ => Ok(true),
                };
            }
            _ => {
                let (header, attributes) = message.split_at_checked(header_len).ok_or_else(cut)?;
                each(Answer { header, attributes });
            }
        }
        messages = messages
            .get(len.next_multiple_of(ATTRIBUTE_LEN)..)
            .unwrap_or_default();
    }
    Ok(false)
}

/// The value of the first attribute of a kind.
pub(super) fn attribute(mut attributes: &[u8], kind: u32) -> Option<&[u8]> {
    loop {
        let header = u32_at(attributes, 0)?.to_ne_bytes();
        let len = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        // The upper bits are flags, NLA_TYPE_MASK.
        let there = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        let value = attributes.get(ATTRIBUTE_LEN..len)?;
        if u32::from(there) == kind {
            return Some(value);
        }
        attributes = attributes.get(len.next_multiple_of(ATTRIBUTE_LEN)..)?;
    }
}

/// A string that ends at its first NUL.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
}

pub(super) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests;
