//! The fields of a packet below its line, by the names that a filter takes.

use std::fmt::Write as _;

use capture_packet::{
    fields::{Field, Value},
    text::escaped,
};

/// Most bytes that are shown of a field without a meaning.
const MOST_BYTES: usize = 32;

/// Adds the layers and their fields, indented.
pub(super) fn push(text: &mut String, layers: &[Field], data: &[u8]) {
    each(text, layers, data, 1);
}

fn each(text: &mut String, fields: &[Field], data: &[u8], depth: usize) {
    for field in fields {
        let _ = write!(text, "{:1$}{2}: ", "", depth * 4, field.name);
        match &field.value {
            Value::Bytes => bytes(text, field, data),
            // Text of a packet was escaped when the field was made; this is for the case that it was not.
            Value::Text(value) => {
                let _ = match value.chars().any(char::is_control) {
                    true => write!(text, "{}", escaped(value.as_bytes(), value.len())),
                    false => write!(text, "{value}"),
                };
            }
            value => {
                let _ = write!(text, "{value}");
            }
        }
        text.push('\n');
        each(text, &field.fields, data, depth + 1);
    }
}

fn bytes(text: &mut String, field: &Field, data: &[u8]) {
    let start = field.offset as usize;
    let bytes = data
        .get(start..start + field.len as usize)
        .unwrap_or_default();
    for (place, byte) in bytes.iter().take(MOST_BYTES).enumerate() {
        let colon = if place == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02x}");
    }
    if bytes.len() > MOST_BYTES {
        let _ = write!(text, "… ({} bytes)", bytes.len());
    }
}
