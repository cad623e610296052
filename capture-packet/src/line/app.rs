//! Application protocols. Each has its line here and nowhere else.

use std::fmt::Write as _;

use super::{
    Line,
    layer::{Layer, shown},
    push,
};
use crate::{
    app::dns::code_name,
    fields::{Field, Value},
};

/// Most characters of a text that are shown.
const MOST_TEXT: usize = 120;

/// Most records of a DNS message that are shown.
const MOST_RECORDS: usize = 8;

impl<'a> Line<'a> {
    /// What a segment of TCP carries, behind its line; nothing where that is not known.
    pub(super) fn app(&mut self, place: usize) {
        let Some(layer) = self.layer(place) else {
            return;
        };
        let texts = |names: &[&str]| {
            let values = names.iter().filter_map(|name| layer.value(name));
            let texts: Vec<_> = values.map(|value| short(&value.to_string())).collect();
            texts.join(" ")
        };
        let what = match layer.name() {
            "http" if layer.value("http.request.method").is_some() => texts(&[
                "http.request.method",
                "http.request.uri",
                "http.request.version",
            ]),
            "http" => texts(&[
                "http.response.version",
                "http.response.code",
                "http.response.phrase",
            ]),
            "ssh" => texts(&["ssh.protocol"]),
            "tls" => return self.tls(layer),
            // Of commands only the first word: what comes with it may be a password.
            "ftp" => texts(&[
                "ftp.request.command",
                "ftp.response.code",
                "ftp.response.arg",
            ]),
            "smtp" => texts(&[
                "smtp.req.command",
                "smtp.response.code",
                "smtp.rsp.parameter",
            ]),
            "pop" => texts(&["pop.request.command", "pop.response.indicator"]),
            "imap" => texts(&[
                "imap.request_tag",
                "imap.request.command",
                "imap.response_tag",
                "imap.response.status",
            ]),
            "nbss" | "ldap" => {
                let name = match self.layer(place + 1).map(Layer::name) {
                    Some("smb2") => "SMB2",
                    Some("smb") => "SMB",
                    _ if layer.name() == "ldap" => "LDAP",
                    _ => "NBSS",
                };
                push!(self, ": {name}");
                return;
            }
            _ => return,
        };
        push!(self, ": {}: {what}", layer.name().to_uppercase());
    }

    fn tls(&mut self, layer: Layer<'a>) {
        let number = |name| layer.number(name);
        let what = match (
            number("tls.record.content_type"),
            number("tls.handshake.type"),
        ) {
            (_, Some(1)) => "Client Hello".to_owned(),
            (_, Some(2)) => "Server Hello".to_owned(),
            (_, Some(11)) => "Certificate".to_owned(),
            (_, Some(kind)) => format!("Handshake, type {kind}"),
            (Some(20), _) => "Change Cipher Spec".to_owned(),
            (Some(21), _) => match number("tls.alert_message.desc") {
                Some(alert) => format!("Alert {alert}"),
                None => "Alert".to_owned(),
            },
            (Some(22), _) => "Handshake".to_owned(),
            (Some(23), _) => "Application Data".to_owned(),
            _ => "record".to_owned(),
        };
        push!(self, ": TLS {what}");
        if let Some(name) = layer.value("tls.handshake.extensions_server_name") {
            push!(self, ", for {}", short(&name.to_string()));
        }
    }

    /// What a datagram carries, in place of its line; false where that is not known.
    pub(super) fn datagram(&mut self, place: usize, len: u64) -> bool {
        let Some(layer) = self.layer(place) else {
            return false;
        };
        match layer.name() {
            "dns" | "mdns" | "llmnr" => self.dns(layer, len),
            "dhcp" => self.dhcp(layer, len),
            "ntp" => self.ntp(layer, len),
            "quic" => {
                let kind = match layer.number("quic.long.packet_type") {
                    Some(0) => " Initial",
                    Some(1) => " 0-RTT",
                    Some(2) => " Handshake",
                    Some(3) => " Retry",
                    _ => "",
                };
                push!(self, "QUIC{kind}, length {len}");
            }
            "snmp" => {
                push!(self, "SNMP, length {len}");
            }
            _ => return false,
        }
        true
    }

    /// As tcpdump: identifier, `+` recursion desired, `*` authoritative, `-` recursion not available, `|` truncated.
    fn dns(&mut self, layer: Layer<'a>, len: u64) {
        let number = |name| layer.number(name).unwrap_or(0);
        push!(self, "{}", number("dns.id"));
        let is_response = layer.is_set("dns.flags.response");
        if is_response {
            match number("dns.flags.rcode") {
                0 => {}
                code => {
                    push!(self, " {}", code_name(code as u8));
                }
            }
            for (name, is_shown_if, sign) in [
                ("dns.flags.authoritative", true, '*'),
                ("dns.flags.recavail", false, '-'),
                ("dns.flags.truncated", true, '|'),
            ] {
                if layer.value(name) == Some(&Value::Flag(is_shown_if)) {
                    self.text.push(sign);
                }
            }
        } else if layer.is_set("dns.flags.recdesired") {
            self.text.push('+');
        }
        if let Some(name) = layer.value("dns.qry.name") {
            let kind = record_type(number("dns.qry.type"));
            let dot = if name.to_string() == "." { "" } else { "." };
            push!(self, " {kind}? {name}{dot}");
        }
        if is_response {
            push!(
                self,
                " {}/{}/{}",
                number("dns.count.answers"),
                number("dns.count.auth_rr"),
                number("dns.count.add_rr")
            );
            self.dns_answers(layer, number("dns.count.answers") as usize);
        }
        push!(self, " ({len})");
    }

    fn dns_answers(&mut self, layer: Layer<'a>, answers: usize) {
        let fields = &layer.0.fields;
        let is_type = |field: &&Field| field.name == "dns.resp.type";
        let starts = fields
            .iter()
            .enumerate()
            .filter(|(_, field)| is_type(field));
        for (place, (start, field)) in starts.take(answers).enumerate() {
            if place >= MOST_RECORDS {
                self.text.push_str(", …");
                return;
            }
            let Value::Number(kind) = &field.value else {
                continue;
            };
            let comma = if place == 0 { "" } else { "," };
            push!(self, "{comma} {}", record_type(*kind));
            let rest = fields[start + 1..]
                .iter()
                .take_while(|field| !is_type(field));
            let mut data = rest.filter(|field| !field.name.starts_with("dns.resp."));
            if let Some(data) = data.next() {
                let dot = match data.value {
                    Value::Text(_) if data.name != "dns.txt" => ".",
                    _ => "",
                };
                push!(self, " {}{dot}", data.value);
            }
        }
    }

    fn dhcp(&mut self, layer: Layer<'a>, len: u64) {
        let value = |name| shown(layer.value(name));
        let kind = match layer.number("dhcp.option.dhcp") {
            Some(1) => "Discover",
            Some(2) => "Offer",
            Some(3) => "Request",
            Some(4) => "Decline",
            Some(5) => "ACK",
            Some(6) => "NACK",
            Some(7) => "Release",
            Some(8) => "Inform",
            _ if layer.number("dhcp.type") == Some(1) => "Request",
            _ => "Reply",
        };
        push!(self, "DHCP {kind}");
        if layer.number("dhcp.type") == Some(1) {
            push!(self, " from {}", value("dhcp.hw.mac_addr"));
        }
        for (name, word) in [
            ("dhcp.option.requested_ip_address", "asks for"),
            ("dhcp.ip.client", "has"),
            ("dhcp.ip.your", "gives"),
            ("dhcp.option.dhcp_server_id", "server"),
            ("dhcp.option.hostname", "host"),
        ] {
            match layer.value(name) {
                Some(Value::Address(address)) if address.is_unspecified() => {}
                Some(found) => {
                    push!(self, ", {word} {found}");
                }
                None => {}
            }
        }
        push!(self, ", length {len}");
    }

    fn ntp(&mut self, layer: Layer<'a>, len: u64) {
        let mode = match layer.number("ntp.flags.mode").unwrap_or(0) {
            1 => "symmetric active",
            2 => "symmetric passive",
            3 => "Client",
            4 => "Server",
            5 => "Broadcast",
            6 => "Control Message",
            7 => "Reserved",
            _ => "unspecified",
        };
        push!(
            self,
            "NTPv{}, {mode}, length {len}",
            shown(layer.value("ntp.flags.vn"))
        );
    }
}

/// As much of a text as a line has room for.
fn short(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a type of DNS record is called (IANA).
fn record_type(kind: u64) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        255 => "ANY",
        _ => return format!("Type{kind}"),
    };
    name.to_owned()
}
