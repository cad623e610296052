//! A packet as a row of a list.

use capture_packet::{
    decode::Decoded,
    fields::{Field, known},
    frame::Frame,
    line::line,
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    capture::Shown,
    cell::{cell, shortened},
    note::ViewNote,
};

/// Most bytes of the text about a packet, and of a comment.
const MOST_INFO: usize = 512;
const MOST_COMMENT: usize = 4096;

/// A packet in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Row {
    /// Its number, from 1 through all files of the task; where one file is looked at, in that.
    pub number: u64,
    /// Index of its file.
    pub file: u64,
    /// Its number in the file, as Wireshark counts.
    pub file_number: u64,
    /// When it was captured, with nanoseconds; null where the file does not say.
    #[schema(required = true, pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
    pub time: Option<String>,
    /// Name of its interface.
    #[schema(required = true)]
    pub interface: Option<String>,
    /// `in` or `out`, as the host sees it.
    #[schema(required = true, pattern = "^(in|out)$")]
    pub direction: Option<&'static str>,
    /// Address of whoever sent it.
    #[schema(required = true)]
    pub source: Option<String>,
    /// Address that it goes to.
    #[schema(required = true)]
    pub destination: Option<String>,
    /// The innermost protocol that is known.
    pub protocol: &'static str,
    /// Bytes on the wire.
    pub length: u32,
    /// Bytes captured.
    pub captured: usize,
    /// What it says, in a line of at most 512 bytes.
    pub info: String,
    /// Its stream, as Wireshark counts them: `tcp 3`. Of TCP and UDP, and of the first 131,072 of a task.
    #[schema(required = true)]
    pub stream: Option<String>,
    /// Values of the fields that were asked for; several are joined by commas.
    pub columns: Vec<Option<String>>,
    /// Whether somebody marked it.
    pub marked: bool,
    /// What the file says of it, and what was noted about it: at most 4,096 bytes of each.
    #[schema(required = true)]
    pub comment: Option<String>,
    /// Whether a header claims what cannot be.
    pub malformed: bool,
}

impl Row {
    pub(super) fn of(
        shown: &Shown<'_>,
        layers: &[Field],
        columns: &[&'static known::Known],
        stream: Option<String>,
    ) -> Self {
        let frame = &shown.frame;
        let (source, destination) = ends(layers);
        let columns = columns.iter().map(|known| cell(known, frame, layers));
        Self {
            number: frame.number,
            file: shown.file,
            file_number: shown.file_number,
            time: shown.timestamp_ns.and_then(rfc3339),
            interface: frame.interface_name.map(ToOwned::to_owned),
            direction: shown.direction.map(|direction| match direction {
                capture_common::Direction::Ingress => "in",
                capture_common::Direction::Egress => "out",
            }),
            protocol: protocol(layers),
            length: frame.wire_len,
            captured: frame.data.len(),
            info: info(layers, frame, source.as_deref(), destination.as_deref()),
            source,
            destination,
            stream,
            columns: columns.collect(),
            marked: false,
            comment: shown.comment().map(|text| shortened(text, MOST_COMMENT)),
            malformed: is_malformed(frame),
        }
    }

    /// Adds what somebody noted about it, behind what the file says.
    pub(super) fn note(&mut self, note: Option<&ViewNote>) {
        let Some(note) = note else { return };
        self.marked = note.marked;
        let comments = self.comment.take().into_iter().chain(note.comment.clone());
        let comments: Vec<_> = comments.collect();
        let comment = (!comments.is_empty()).then(|| comments.join("\n"));
        self.comment = comment.map(|text| shortened(text, 2 * MOST_COMMENT));
    }

    /// Bytes that it takes as JSON, about and at least.
    pub(super) fn weight(&self) -> usize {
        let cells = self.columns.iter().flatten().map(String::len);
        let comment = self.comment.as_ref().map_or(0, String::len);
        500 + self.info.len() + comment + cells.sum::<usize>()
    }
}

/// A time as the API has it.
pub(super) fn rfc3339(ns: u64) -> Option<String> {
    let stamp = Timestamp::from_nanosecond(ns.into()).ok()?;
    Some(stamp.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string())
}

pub(super) fn is_malformed(frame: &Frame<'_>) -> bool {
    !Decoded::new(frame.link_type, frame.data, frame.wire_len)
        .problems
        .is_empty()
}

/// The layers of the packet itself, without those of one that an ICMP error quotes.
fn own_layers(layers: &[Field]) -> &[Field] {
    let icmp = layers
        .iter()
        .position(|layer| matches!(layer.name, "icmp" | "icmpv6"));
    icmp.map_or(layers, |icmp| &layers[..=icmp])
}

/// Addresses of the two ends: of the innermost IP header, of ARP, or of the link layer.
fn ends(layers: &[Field]) -> (Option<String>, Option<String>) {
    let named = |layer: &Field, name: &str| {
        let field = layer.fields.iter().find(|field| field.name == name);
        field.map(|field| field.value.to_string())
    };
    for layer in own_layers(layers).iter().rev() {
        let [source, destination] = match layer.name {
            "ip" => ["ip.src", "ip.dst"],
            "ipv6" => ["ipv6.src", "ipv6.dst"],
            "arp" => ["arp.src.proto_ipv4", "arp.dst.proto_ipv4"],
            "eth" => ["eth.src", "eth.dst"],
            "sll" => ["sll.src.eth", ""],
            _ => continue,
        };
        let ends = (named(layer, source), named(layer, destination));
        if ends.0.is_some() || layer.name == "sll" {
            return ends;
        }
    }
    (None, None)
}

/// The name of the innermost protocol.
fn protocol(layers: &[Field]) -> &'static str {
    let mut layers = own_layers(layers).iter().rev();
    let layer = layers.find(|layer| layer.name != "data");
    match layer.map(|layer| layer.name) {
        None => "Unknown",
        Some("eth") => "Ethernet",
        Some("mdns") => "MDNS",
        Some("arp") => "ARP",
        Some("smb") => "SMB",
        Some("smb2") => "SMB2",
        Some("ah") => "AH",
        Some("gre") => "GRE",
        Some("sll") => "SLL",
        Some("null") => "Loopback",
        Some("ppp" | "pppoes") => "PPP",
        Some("mpls" | "pwethcw") => "MPLS",
        Some("vlan" | "ieee8021ad") => "VLAN",
        Some("llc") => "LLC",
        Some("erspan") => "ERSPAN",
        Some("nbss") => "NBSS",
        Some(name) if name.starts_with("ipv6.") => "IPv6",
        Some(name) => known::find(name).map_or(name, |known| known.about),
    }
}

/// The line of `print` without the addresses that the row has already.
fn info(
    layers: &[Field],
    frame: &Frame<'_>,
    source: Option<&str>,
    destination: Option<&str>,
) -> String {
    let line = line(layers, frame, None);
    let short = source.zip(destination).and_then(|(source, destination)| {
        let rest = line
            .strip_prefix("IP ")
            .or_else(|| line.strip_prefix("IP6 "))?;
        let (port, rest) = rest.strip_prefix(source)?.split_once(" > ")?;
        let (other, rest) = rest.strip_prefix(destination)?.split_once(": ")?;
        match (port.strip_prefix('.'), other.strip_prefix('.')) {
            (Some(port), Some(other)) => Some(match application(rest) {
                Some(said) => said.to_owned(),
                None => format!("{port} > {other}: {rest}"),
            }),
            (None, None) => Some(rest.to_owned()),
            _ => None,
        }
    });
    shortened(short.unwrap_or(line), MOST_INFO)
}

/// What an application says in a TCP segment, of the line of `print` behind the addresses: the header's fields come before
/// it, and are in the tree.
fn application(line: &str) -> Option<&str> {
    let (_, rest) = line.strip_prefix("Flags [")?.split_once(", length ")?;
    let (_, said) = rest.split_once(": ")?;
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_comes_before_the_header_that_carries_it() {
        let segment =
            "Flags [P.], seq 1:91, ack 1, win 63, options [nop,nop,TS val 1 ecr 2], length 90";
        let request = format!("{segment}: HTTP: GET /a: b HTTP/1.1");
        assert_eq!(application(&request), Some("HTTP: GET /a: b HTTP/1.1"));
        for line in [segment, &format!("{segment}: "), "UDP, length 5: x", ""] {
            assert_eq!(application(line), None, "{line}");
        }
    }
}
