//! Application protocols within UDP.

use super::{
    field::Value,
    table::{self, Spec},
    walk::Walk,
};
use crate::{
    address::Address,
    app::{
        dhcp,
        dns::{LLMNR_PORT, MDNS_PORT, Message, Name, PORT, Record, kind},
    },
    decode::{be16, be32},
};

/// Port of NTP (RFC 5905).
const NTP_PORT: u16 = 123;

/// Most records of a message that are shown.
const MOST_RECORDS: usize = 64;

impl Walk<'_> {
    /// What the ports say.
    pub(super) fn datagram(&mut self, source: u16, destination: u16) {
        for port in [source, destination] {
            match port {
                PORT => return self.dns("dns", "Domain Name System"),
                MDNS_PORT => return self.dns("mdns", "Multicast Domain Name System"),
                LLMNR_PORT => return self.dns("llmnr", "Link-local Multicast Name Resolution"),
                dhcp::SERVER_PORT | dhcp::CLIENT_PORT => {
                    return self.rest_of(
                        "dhcp",
                        "Dynamic Host Configuration Protocol",
                        table::DHCP,
                    );
                }
                NTP_PORT => return self.rest_of("ntp", "Network Time Protocol", table::NTP),
                _ => {}
            }
        }
        self.data();
    }

    /// A layer that takes all that is left.
    fn rest_of(&mut self, name: &'static str, title: &'static str, specs: &[Spec]) {
        let len = self.rest().1.len();
        self.layer(name, title, len, specs);
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
        if let Some(name) = message.name(record.name_at) {
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
    }
}
