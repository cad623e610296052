//! All of one packet: its fields with their places, its bytes, and where the others of its conversation are.

use std::fmt::Write as _;

use capture_packet::{
    fields::{Field, Value, known},
    filter::Filter,
    frame::Frame,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    capture::Shown,
    cell::{self, shortened},
    ends::Ends,
    row::Row,
};

/// Most bytes of a value that is shown, and of one that makes a filter.
const MOST_VALUE: usize = 2048;
const MOST_FILTER: usize = 512;

/// Most fields of a packet that have a filter of their own.
const MOST_FILTERS: usize = 500;

/// All of a packet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Detail {
    /// Its number, from 1 through all files of the task; where one file is looked at, in that.
    pub number: u64,
    /// Index of its file.
    pub file: u64,
    /// Its number in the file, as Wireshark counts.
    pub file_number: u64,
    /// When it was captured, with nanoseconds; null where the file does not say.
    #[schema(required = true, pattern = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")]
    pub time: Option<String>,
    /// Bytes on the wire.
    pub length: u32,
    /// Bytes captured.
    pub captured: usize,
    /// Name of its interface.
    #[schema(required = true)]
    pub interface: Option<String>,
    /// `in` or `out`, as the host sees it.
    #[schema(required = true, pattern = "^(in|out)$")]
    pub direction: Option<&'static str>,
    /// Its stream, as Wireshark counts them: `tcp 3`.
    #[schema(required = true)]
    pub stream: Option<String>,
    /// Whether somebody marked it.
    pub marked: bool,
    /// What the file says of it, at most 4,096 bytes.
    #[schema(required = true)]
    pub comment: Option<String>,
    /// What a list says of it.
    pub row: Row,
    /// How it begins: a LINKTYPE_ value (tcpdump.org/linktypes.html).
    pub link_type: u16,
    /// The layers, from the outermost to the innermost, and before them what is known of the frame.
    pub tree: Vec<Node>,
    /// Its bytes in base 16.
    pub bytes: String,
    /// A display filter for all packets of its conversation.
    #[schema(required = true)]
    pub conversation: Option<String>,
    /// Number of the packet before it in its conversation, if one of those just before it is.
    #[schema(required = true)]
    pub previous_in_stream: Option<u64>,
    /// Number of the one behind it.
    #[schema(required = true)]
    pub next_in_stream: Option<u64>,
    /// Who took it apart.
    pub decoder: String,
}

/// A field of a packet.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Node {
    /// Wireshark's name: `ip.src`.
    pub name: &'static str,
    /// What it is.
    pub label: &'static str,
    /// What it says; null where that is only its bytes or its parts. Characters that a page or terminal would obey are
    /// escaped.
    #[schema(required = true)]
    pub value: Option<String>,
    /// A display filter for packets that have this value.
    #[schema(required = true)]
    pub filter: Option<String>,
    /// Where it begins in the packet.
    pub offset: u32,
    /// Bytes that it lies in.
    pub length: u32,
    /// The fields in it.
    #[schema(no_recursion)]
    pub children: Vec<Self>,
}

impl Detail {
    pub(super) fn of(shown: &Shown<'_>, layers: &[Field], stream: Option<String>) -> Self {
        let frame = &shown.frame;
        let mut tree = Tree {
            frame,
            layers,
            filters: 0,
        };
        let mut bytes = String::with_capacity(frame.data.len() * 2);
        for byte in frame.data {
            let _ = write!(bytes, "{byte:02x}");
        }
        let row = Row::of(shown, layers, &[], stream);
        Self {
            number: row.number,
            file: row.file,
            file_number: row.file_number,
            time: row.time.clone(),
            length: row.length,
            captured: row.captured,
            interface: row.interface.clone(),
            direction: row.direction,
            stream: row.stream.clone(),
            marked: row.marked,
            comment: row.comment.clone(),
            row,
            link_type: frame.link_type,
            tree: layers.iter().map(|layer| tree.node(layer)).collect(),
            bytes,
            conversation: Ends::of(frame).map(|ends| ends.filter()),
            previous_in_stream: None,
            next_in_stream: None,
            decoder: concat!("capture-agent ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

struct Tree<'a> {
    frame: &'a Frame<'a>,
    layers: &'a [Field],
    filters: usize,
}

impl Tree<'_> {
    fn node(&mut self, field: &Field) -> Node {
        let value = match field.value {
            Value::Title(_) => None,
            Value::Bytes if field.len == 0 => None,
            _ => Some(shortened(cell::shown(field, self.frame.data), MOST_VALUE)),
        };
        Node {
            name: field.name,
            label: match field.value {
                Value::Title(title) => title,
                _ => known::find(field.name).map_or(field.name, |known| known.about),
            },
            value,
            filter: self.filter(field),
            offset: field.offset,
            length: field.len,
            children: field.fields.iter().map(|field| self.node(field)).collect(),
        }
    }

    /// A filter that this packet passes for this value.
    fn filter(&mut self, field: &Field) -> Option<String> {
        let name = field.name;
        let text = match &field.value {
            Value::Title(_) => name.to_owned(),
            Value::Text(text) => format!("{name} == {}", quoted(text)),
            Value::Bytes => {
                let start = field.offset as usize;
                let bytes = self.frame.data.get(start..start + field.len as usize)?;
                let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{name} == {}", bytes.join(":"))
            }
            value => format!("{name} == {value}"),
        };
        if text.len() > MOST_FILTER || self.filters >= MOST_FILTERS {
            return None;
        }
        self.filters += 1;
        let filter: Filter = text.parse().ok()?;
        filter
            .matches_fields(self.frame, self.layers)
            .then_some(text)
    }
}

/// Between quotes, as a filter has text.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
