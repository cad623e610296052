//! The values of one field of a packet, as a cell of a list.

use capture_packet::{
    fields::{Field, Value, known::Known},
    frame::Frame,
};

/// Most values of a field that a cell has, and most bytes of it.
const MOST_VALUES: usize = 16;
const MOST_BYTES: usize = 128;

const SECOND: i128 = 1_000_000_000;

/// The values of a field, joined by commas; `None` where the packet does not have it.
pub(super) fn cell(known: &Known, frame: &Frame<'_>, layers: &[Field]) -> Option<String> {
    if known.name == "frame" || known.name.starts_with("frame.") {
        return of_frame(known.name, frame, layers);
    }
    let names: &[&str] = match known.stands_for {
        [] => &[known.name],
        names => names,
    };
    let mut values = Vec::new();
    collect(layers, names, frame.data, &mut values);
    let cell = (!values.is_empty()).then(|| values.join(","))?;
    Some(shortened(cell, MOST_BYTES))
}

fn collect(fields: &[Field], names: &[&str], data: &[u8], values: &mut Vec<String>) {
    for field in fields {
        if values.len() >= MOST_VALUES {
            return;
        }
        if names.contains(&field.name) {
            values.push(shown(field, data));
        }
        collect(&field.fields, names, data, values);
    }
}

/// A value as text: bytes in base 16.
pub(super) fn shown(field: &Field, data: &[u8]) -> String {
    match &field.value {
        Value::Bytes => {
            let start = field.offset as usize;
            let bytes = data
                .get(start..start + field.len as usize)
                .unwrap_or_default();
            let shown = bytes
                .iter()
                .take(MOST_BYTES / 2)
                .map(|byte| format!("{byte:02x}"));
            shown.collect()
        }
        value => value.to_string(),
    }
}

fn of_frame(name: &str, frame: &Frame<'_>, layers: &[Field]) -> Option<String> {
    let seconds = |ns: i128| {
        let sign = if ns < 0 { "-" } else { "" };
        let ns = ns.abs();
        format!("{sign}{}.{:09}", ns / SECOND, ns % SECOND)
    };
    Some(match name {
        "frame.number" => frame.number.to_string(),
        "frame.len" => frame.wire_len.to_string(),
        "frame.cap_len" => frame.data.len().to_string(),
        "frame.time_epoch" => seconds(frame.time?.epoch),
        "frame.time_relative" => seconds(frame.time?.relative),
        "frame.time_delta" => seconds(frame.time?.delta),
        "frame.interface_id" => frame.interface.to_string(),
        "frame.interface_name" => frame.interface_name?.to_owned(),
        "frame.protocols" => {
            let names: Vec<_> = layers.iter().map(|layer| layer.name).collect();
            shortened(names.join(":"), MOST_BYTES)
        }
        _ => return None,
    })
}

/// A text of at most so many bytes.
pub(super) fn shortened(mut text: String, most: usize) -> String {
    if text.len() > most {
        let mut end = most.saturating_sub('…'.len_utf8());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
