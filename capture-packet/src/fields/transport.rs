//! What IP carries, and the tunnels in it.

use super::{
    field::Value,
    table,
    walk::{MOST_LAYERS, Walk, number},
};
use crate::decode::be16;

impl Walk<'_> {
    pub(super) fn transport(&mut self, protocol: u8, is_v6: bool) {
        match (protocol, is_v6) {
            (4 | 41, _) => self.tunnel(Self::ip),
            (6, _) => self.tcp(),
            (17, _) => self.udp(),
            (1, false) => self.icmp(),
            (58, true) => self.icmpv6(),
            (47, _) => self.gre(),
            (51, _) if self.layers.len() < MOST_LAYERS => {
                let header = self.header(8);
                let len = header.map_or(8, |header| (usize::from(header[1]) + 2) * 4);
                self.layer("ah", "Authentication Header", len, table::AUTHENTICATION);
                match header {
                    Some(header) => self.transport(header[0], is_v6),
                    None => self.data(),
                }
            }
            (132, _) => {
                self.layer(
                    "sctp",
                    "Stream Control Transmission Protocol",
                    12,
                    table::SCTP,
                );
                self.data();
            }
            _ => self.data(),
        }
    }

    fn tcp(&mut self) {
        let header_len = self
            .header(13)
            .map_or(20, |header| usize::from(header[12] >> 4) * 4);
        let start = self.at;
        self.layer(
            "tcp",
            "Transmission Control Protocol",
            header_len.max(20),
            table::TCP,
        );
        if self.at >= start + 20 {
            let len = self.claimed_len();
            // tshark has it at the start of the header, without bytes of its own.
            self.add("tcp.len", Value::Number(len as u64), start, 0);
            self.tcp_options(start + 20);
        }
        self.payload("tcp.payload");
        let ports = self.frame.get(start..start + 4);
        let ports = ports.map(|ports| (be16(ports, 0), be16(ports, 2)));
        if !ports.is_some_and(|(source, destination)| self.stream(source, destination)) {
            self.data();
        }
    }

    /// What the transport carries, as a field of it.
    fn payload(&mut self, name: &'static str) {
        let (at, rest) = self.rest();
        if !rest.is_empty() {
            self.add(name, Value::Bytes, at, rest.len());
        }
    }

    /// The options that say something.
    fn tcp_options(&mut self, mut at: usize) {
        while let [kind, rest @ ..] = &self.frame[at..self.at] {
            let len = match kind {
                0 => return,
                1 => {
                    at += 1;
                    continue;
                }
                _ => usize::from(rest.first().copied().unwrap_or(0)),
            };
            let Some(value) = self.frame[at..self.at].get(2..len) else {
                return;
            };
            let (frame, value_at) = (self.frame, at + 2);
            let mut field = |name, from: usize, len: usize| {
                let value = number(&frame[value_at + from..value_at + from + len]);
                self.add(name, Value::Number(value), value_at + from, len);
            };
            match (kind, value.len()) {
                (2, 2) => field("tcp.options.mss_val", 0, 2),
                (3, 1) => field("tcp.options.wscale.shift", 0, 1),
                (8, 8) => {
                    field("tcp.options.timestamp.tsval", 0, 4);
                    field("tcp.options.timestamp.tsecr", 4, 4);
                }
                _ => {}
            }
            at += len;
        }
    }

    fn udp(&mut self) {
        let header = self.header(8);
        self.layer("udp", "User Datagram Protocol", 8, table::UDP);
        let Some(header) = header else { return };
        if let len @ 8.. = usize::from(be16(header, 4)) {
            self.truncate(len - 8);
        }
        self.payload("udp.payload");
        match be16(header, 2) {
            4789 | 8472 if self.header(8).is_some_and(|header| header[0] == 8) => {
                self.layer(
                    "vxlan",
                    "Virtual eXtensible Local Area Network",
                    8,
                    table::VXLAN,
                );
                self.tunnel(Self::ethernet);
            }
            // Version 1, GTP and not GTP', a G-PDU.
            2152 if self
                .header(8)
                .is_some_and(|header| header[0] & 0xf0 == 0x30 && header[1] == 0xff) =>
            {
                self.gtp();
            }
            6081 if self.header(8).is_some_and(|header| header[0] >> 6 == 0) => self.geneve(),
            destination => self.datagram(be16(header, 0), destination),
        }
    }

    fn geneve(&mut self) {
        let Some(header) = self.header(8) else { return };
        let (options, kind) = (usize::from(header[0] & 0x3f) * 4, be16(header, 2));
        let title = "Generic Network Virtualization Encapsulation";
        self.layer("geneve", title, 8 + options, table::GENEVE);
        match kind {
            0x6558 => self.tunnel(Self::ethernet),
            0x0800 | 0x86dd => self.tunnel(Self::ip),
            _ => self.data(),
        }
    }

    /// GTP-U (TS 29.281 section 5): any optional field brings all three, and extension headers may follow.
    fn gtp(&mut self) {
        let bytes = self.rest().1;
        let mut len = 8;
        if bytes[0] & 0x07 != 0 {
            let mut next = bytes.get(11).copied().unwrap_or(0);
            len += 4;
            while let (true, Some(units @ 1..)) = (bytes[0] & 4 != 0 && next != 0, bytes.get(len)) {
                len += usize::from(*units) * 4;
                next = bytes.get(len - 1).copied().unwrap_or(0);
            }
        }
        self.layer("gtp", "GPRS Tunneling Protocol", len, table::GTP);
        self.tunnel(Self::ip);
    }

    fn icmp(&mut self) {
        let header = self.header(8);
        let title = "Internet Control Message Protocol";
        let more = match header {
            Some([0 | 8, ..]) => table::ICMP_ECHO,
            Some([3, 4, ..]) => table::ICMP_NEED_TO_FRAGMENT,
            Some([5, ..]) => table::ICMP_REDIRECT,
            _ => &[],
        };
        self.layer("icmp", title, 8, &[table::ICMP, more].concat());
        match header {
            Some([3 | 4 | 5 | 11 | 12, ..]) => self.tunnel(Self::ip),
            _ => self.data(),
        }
    }

    fn icmpv6(&mut self) {
        let kind = self.header(8).map(|header| header[0]);
        let title = "Internet Control Message Protocol v6";
        let more = match kind {
            Some(2) => table::ICMPV6_TOO_BIG,
            Some(128 | 129) => table::ICMPV6_ECHO,
            Some(134) => table::ICMPV6_ROUTER,
            Some(135) => table::ICMPV6_SOLICITATION,
            Some(136) => table::ICMPV6_ADVERTISEMENT,
            _ => &[],
        };
        let len = match kind {
            Some(..=129) => 8,
            // Messages of neighbor discovery and of multicast listeners have all that is left.
            _ => self.rest().1.len(),
        };
        self.layer("icmpv6", title, len, &[table::ICMPV6, more].concat());
        match kind {
            Some(..128) => self.tunnel(Self::ip),
            _ => self.data(),
        }
    }

    fn gre(&mut self) {
        let title = "Generic Routing Encapsulation";
        let Some(header) = self.header(4) else {
            return self.layer("gre", title, 4, table::GRE);
        };
        let (flags, kind) = (be16(header, 0), be16(header, 2));
        let optional = [0x8000, 0x2000, 0x1000];
        let optional = optional.iter().filter(|bit| flags & **bit != 0).count();
        self.layer("gre", title, 4 + optional * 4, table::GRE);
        match (flags & 0x4007, kind) {
            (0, 0x6558) => self.tunnel(Self::ethernet),
            (0, 0x0800 | 0x86dd) => self.tunnel(Self::ip),
            (0, 0x88be | 0x22eb) => {
                // Type I has neither a header nor a sequence number in GRE (draft-foschiano-erspan).
                let len = match (kind, self.header(12)) {
                    (0x88be, _) if flags & 0x1000 == 0 => 0,
                    (0x88be, _) => 8,
                    (_, Some(header)) if header[11] & 1 != 0 => 20,
                    _ => 12,
                };
                if len > 0 {
                    let title = "Encapsulated Remote Switched Packet Analysis";
                    self.layer("erspan", title, len, table::ERSPAN);
                }
                self.tunnel(Self::ethernet);
            }
            _ => self.data(),
        }
    }
}
