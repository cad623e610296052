//! Traffic control by netlink, as far as [`super::clsact`] needs it: the qdisc and the filters of an interface are
//! listed, added and deleted. aya can attach a filter, but neither name it nor delete a qdisc. Formats: rtnetlink(7),
//! include/uapi/linux/pkt_cls.h.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use aya_obj::generated::{
    TC_H_CLSACT, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TCA_BPF_FD, TCA_BPF_FLAG_ACT_DIRECT,
    TCA_BPF_FLAGS, TCA_BPF_NAME, TCA_KIND, TCA_OPTIONS,
};

use crate::netlink::{Answer, Netlink, Request, attribute, text, u32_at};

/// Length of `struct tcmsg`.
const TC_LEN: usize = 20;

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

/// What follows the header of a netlink message about traffic control, `struct tcmsg`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TcMsg {
    ifindex: u32,
    handle: u32,
    parent: u32,
    /// Of filters: priority in the upper half, EtherType in network byte order in the lower.
    info: u32,
}

/// A route netlink socket for traffic control, in the network namespace of the thread that opened it.
pub(super) struct TrafficControl(Netlink);

impl TrafficControl {
    /// Opens one.
    pub(super) fn open() -> io::Result<Self> {
        Netlink::open().map(Self)
    }

    /// The kind of the qdisc in the place of clsact: `clsact`, `ingress`, or none.
    pub(super) fn qdisc(&self, ifindex: u32) -> io::Result<Option<String>> {
        let request = request(libc::RTM_GETQDISC, libc::NLM_F_DUMP, for_qdisc(ifindex));
        let mut kind = None;
        self.ask(request, |answer| {
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
        let mut request = request(libc::RTM_NEWQDISC, flags, for_qdisc(ifindex));
        request.attribute(TCA_KIND, b"clsact\0");
        self.ask(request, |_| {})
    }

    /// Deletes the clsact qdisc, with all its filters.
    pub(super) fn delete_clsact(&self, ifindex: u32) -> io::Result<()> {
        self.ask(request(libc::RTM_DELQDISC, 0, for_qdisc(ifindex)), |_| {})
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
            request(libc::RTM_GETTFILTER, libc::NLM_F_DUMP, tc),
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
        let mut request = request(libc::RTM_NEWTFILTER, flags, tc);
        request.attribute(TCA_KIND, b"bpf\0");
        request.nested(TCA_OPTIONS, |options| {
            options.attribute(TCA_BPF_FD, &program.as_raw_fd().to_ne_bytes());
            options.attribute(TCA_BPF_NAME, &[name.as_bytes(), b"\0"].concat());
            options.attribute(TCA_BPF_FLAGS, &TCA_BPF_FLAG_ACT_DIRECT.to_ne_bytes());
        });
        self.ask(request, |_| {})
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
        let mut request = request(libc::RTM_DELTFILTER, 0, tc);
        request.attribute(TCA_KIND, &[filter.kind.as_bytes(), b"\0"].concat());
        self.ask(request, |_| {})
    }

    /// Sends a request and gives each message of the answer to `each`; returns at its end.
    fn ask(&self, request: Request, each: impl FnMut(Answer<'_>)) -> io::Result<()> {
        self.0.ask(request, TC_LEN, each).map(drop)
    }
}

fn request(kind: u16, flags: i32, tc: TcMsg) -> Request {
    Request::new(kind, flags, &tc.bytes())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::read_answer;

    #[test]
    fn a_filter_that_is_written_can_be_read() {
        let tc = TcMsg {
            ifindex: 7,
            handle: 1,
            parent: ClsactSide::Egress.parent(),
            info: filter_info(3, libc::ETH_P_ALL as u16),
        };
        let mut request = request(libc::RTM_NEWTFILTER, 0, tc);
        request.attribute(TCA_KIND, b"bpf\0");
        request.nested(TCA_OPTIONS, |options| {
            options.attribute(TCA_BPF_FD, &9_i32.to_ne_bytes());
            options.attribute(TCA_BPF_NAME, b"a name\0");
        });
        let mut filters = Vec::new();
        let read = read_answer(&request.finish(), TC_LEN, &mut |answer| {
            assert_eq!(TcMsg::read(answer.header).ifindex, 7);
            filters.push(TcFilter::read(&answer));
        });
        assert!(!read.expect("a whole message").is_end);
        let expected = TcFilter {
            priority: 3,
            protocol: libc::ETH_P_ALL as u16,
            handle: 1,
            kind: "bpf".to_owned(),
            name: Some("a name".to_owned()),
        };
        assert_eq!(filters, [expected]);
    }
}
