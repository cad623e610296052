//! Application protocols within UDP.

use super::{
    field::{Field, Value},
    table::{self, Spec},
    walk::Walk,
};
use crate::{
    address::Address,
    app::{
        dhcp,
        dns::{LLMNR_PORT, MDNS_PORT, Message, Name, PORT, Record, kind},
        ntp, snmp,
    },
    decode::{be16, be32},
    text::escaped,
};

/// Most records of a message that are shown.
const MOST_RECORDS: usize = 64;

/// Most options of a DHCP message that are shown.
const MOST_OPTIONS: usize = 128;

/// What options of DHCP begin with (RFC 2131 section 3).
const MAGIC_COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

impl Walk<'_> {
    /// What the ports say.
    pub(super) fn datagram(&mut self, source: u16, destination: u16) {
        for port in [source, destination] {
            match port {
                PORT => return self.dns("dns", "Domain Name System"),
                MDNS_PORT => return self.dns("mdns", "Multicast Domain Name System"),
                LLMNR_PORT => return self.dns("llmnr", "Link-local Multicast Name Resolution"),
                dhcp::SERVER_PORT | dhcp::CLIENT_PORT => return self.dhcp(),
                ntp::PORT => return self.ntp(),
                snmp::PORT | snmp::TRAP_PORT => return self.snmp(),
                _ => {}
            }
        }
        if !self.quic() {
            self.data();
        }
    }

    /// A layer that takes all that is left.
    fn rest_of(&mut self, name: &'static str, title: &'static str, specs: &[Spec]) {
        let len = self.rest().1.len();
        self.layer(name, title, len, specs);
    }

    fn dhcp(&mut self) {
        let (start, bytes) = self.rest();
        let title = "Dynamic Host Configuration Protocol";
        self.rest_of("dhcp", title, table::DHCP);
        if bytes.get(236..240) != Some(&MAGIC_COOKIE) {
            return;
        }
        let mut at = 240;
        for _ in 0..MOST_OPTIONS {
            match bytes.get(at) {
                None | Some(255) => return,
                Some(0) => at += 1,
                Some(kind) => {
                    let len = bytes.get(at + 1).copied().map(usize::from);
                    let Some(value) = len.and_then(|len| bytes.get(at + 2..at + 2 + len)) else {
                        return;
                    };
                    self.dhcp_option(*kind, value, start + at);
                    at += 2 + value.len();
                }
            }
        }
    }

    /// An option that begins at this offset of the frame.
    fn dhcp_option(&mut self, kind: u8, value: &[u8], at: usize) {
        self.add(
            "dhcp.option.type",
            Value::Number(kind.into()),
            at,
            2 + value.len(),
        );
        let (address, text) = match kind {
            1 => ("dhcp.option.subnet_mask", ""),
            3 => ("dhcp.option.router", ""),
            6 => ("dhcp.option.domain_name_server", ""),
            12 => ("", "dhcp.option.hostname"),
            15 => ("", "dhcp.option.domain_name"),
            50 => ("dhcp.option.requested_ip_address", ""),
            54 => ("dhcp.option.dhcp_server_id", ""),
            60 => ("", "dhcp.option.vendor_class_id"),
            _ => ("", ""),
        };
        let mut inner = Vec::new();
        let mut field = |name, value, offset: usize, len: usize| {
            inner.push(Field {
                name,
                value,
                offset: (at + 2 + offset) as u32,
                len: len as u32,
                fields: Vec::new(),
            });
        };
        match (kind, value) {
            (53, [message]) => field("dhcp.option.dhcp", Value::Number((*message).into()), 0, 1),
            (51, [_, _, _, _]) => {
                let seconds = Value::Number(be32(value, 0).into());
                field("dhcp.option.ip_address_lease_time", seconds, 0, 4);
            }
            _ if !address.is_empty() => {
                for (place, bytes) in value.as_chunks::<4>().0.iter().enumerate() {
                    field(address, Value::Address(Address::v4(*bytes)), place * 4, 4);
                }
            }
            _ if !text.is_empty() => {
                let shown = escaped(value, usize::from(u8::MAX)).to_string();
                field(text, Value::Text(shown), 0, value.len());
            }
            _ => {}
        }
        let layer = self.layers.last_mut();
        if let Some(option) = layer.and_then(|layer| layer.fields.last_mut()) {
            option.fields = inner;
        }
    }

    fn ntp(&mut self) {
        let specs = match self.rest().1.first().map(|first| first & 7) {
            Some(ntp::mode::CONTROL) => table::NTP_CONTROL,
            Some(ntp::mode::PRIVATE) => table::NTP_PRIVATE,
            _ => table::NTP,
        };
        self.rest_of("ntp", "Network Time Protocol", specs);
    }

    fn snmp(&mut self) {
        let (start, bytes) = self.rest();
        let Some(message) = snmp::Message::new(bytes) else {
            return self.data();
        };
        self.rest_of("snmp", "Simple Network Management Protocol", &[]);
        if message.version == 3 {
            return;
        }
        let community_at = message.community.as_ptr() as usize - bytes.as_ptr() as usize;
        // The number stands before the tag and the length of the community, which is one byte of a short one.
        if message.community.len() < 128 {
            let version = Value::Number(message.version.into());
            self.add("snmp.version", version, start + community_at - 3, 1);
        }
        let text = Value::Text(escaped(message.community, 255).to_string());
        let at = start + community_at;
        self.add("snmp.community", text, at, message.community.len());
    }

    fn dns(&mut self, name: &'static str, title: &'static str) {
        let (start, bytes) = self.rest();
        let Some(message) = Message::new(bytes) else {
            return self.data();
        };
        let specs = match message.is_response() && name == "dns" {
            true => [table::DNS, table::DNS_RESPONSE].concat(),
            false => table::DNS.to_vec(),
        };
        self.rest_of(name, title, &specs);
        let Some((question, end)) = Name::read(bytes, 12).filter(|_| be16(bytes, 4) > 0) else {
            return;
        };
        let text = Value::Text(question.to_string());
        self.add("dns.qry.name", text, start + 12, end - 12);
        if let Some(fields) = bytes.get(end..end + 4) {
            let (kind, class) = (be16(fields, 0), be16(fields, 2));
            self.add("dns.qry.type", Value::Number(kind.into()), start + end, 2);
            self.add(
                "dns.qry.class",
                Value::Hex(class.into(), 4),
                start + end + 2,
                2,
            );
        }
        for record in message.records().take(MOST_RECORDS) {
            self.record(start, bytes, &message, &record);
        }
    }

    /// A record of a message whose bytes begin at `start`.
    fn record(&mut self, start: usize, bytes: &[u8], message: &Message<'_>, record: &Record<'_>) {
        // The data is a part of the message.
        let data_at = record.data.as_ptr() as usize - bytes.as_ptr() as usize;
        let at = data_at - 10;
        // Wireshark takes names of services apart.
        if record.kind != kind::SRV
            && let Some(name) = message.name(record.name_at)
        {
            let (text, len) = (Value::Text(name.to_string()), at - record.name_at);
            self.add("dns.resp.name", text, start + record.name_at, len);
        }
        let kind = Value::Number(record.kind.into());
        self.add("dns.resp.type", kind, start + at, 2);
        let ttl = Value::Number(be32(bytes, at + 4).into());
        self.add("dns.resp.ttl", ttl, start + at + 4, 4);
        let address = match (record.kind, record.data) {
            (kind::A, &[a, b, c, d]) => Some(("dns.a", Address::v4([a, b, c, d]))),
            (kind::AAAA, data) => {
                let data = data.first_chunk::<16>();
                data.map(|bytes| ("dns.aaaa", Address::v6(*bytes)))
            }
            _ => None,
        };
        if let Some((name, address)) = address {
            let value = Value::Address(address);
            self.add(name, value, start + data_at, record.data.len());
        }
        self.record_name(start, bytes, record.kind, data_at, record.data);
    }

    /// Names and texts in the data of a record, which begins at `data_at` of the message.
    fn record_name(&mut self, start: usize, bytes: &[u8], kind: u16, data_at: usize, data: &[u8]) {
        let (name, before) = match kind {
            kind::NS => ("dns.ns", 0),
            kind::CNAME => ("dns.cname", 0),
            kind::SOA => ("dns.soa.mname", 0),
            kind::PTR => ("dns.ptr.domain_name", 0),
            kind::MX => ("dns.mx.mail_exchange", 2),
            kind::SRV => ("dns.srv.target", 6),
            kind::TXT => {
                let text = data
                    .split_first()
                    .and_then(|(len, text)| text.get(..usize::from(*len)));
                if let Some(text) = text {
                    let shown = Value::Text(escaped(text, usize::from(u8::MAX)).to_string());
                    self.add("dns.txt", shown, start + data_at + 1, text.len());
                }
                return;
            }
            _ => return,
        };
        if let Some((text, end)) = Name::read(bytes, data_at + before)
            && end <= data_at + data.len()
        {
            let text = Value::Text(text.to_string());
            self.add(name, text, start + data_at + before, end - data_at - before);
        }
    }
}
