//! The bytes of a packet below its line, as tcpdump's `-x`, `-X` and `-A` show them.

use std::fmt::Write as _;

use capture_packet::fields::Field;

/// How bytes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dump {
    form: Form,
    /// Whether the link header is, too.
    with_link_header: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Hex,
    HexAndText,
    Text,
}

impl Dump {
    /// By how often `-x`, `-X` and `-A` were given.
    pub(super) fn of(hex: u8, hex_and_text: u8, text: u8) -> Option<Self> {
        let forms = [
            (text, Form::Text),
            (hex_and_text, Form::HexAndText),
            (hex, Form::Hex),
        ];
        let (count, form) = forms.into_iter().find(|(count, _)| *count > 0)?;
        Some(Self {
            form,
            with_link_header: count > 1,
        })
    }

    /// Adds the bytes of a packet.
    pub(super) fn push(self, text: &mut String, layers: &[Field], data: &[u8]) {
        let start = match self.with_link_header {
            true => 0,
            false => behind_link_header(layers),
        };
        let data = data.get(start..).unwrap_or_default();
        match self.form {
            Form::Text => {
                text.extend(data.iter().map(|byte| match byte {
                    // tcpdump leaves out what ends a line.
                    b'\n' | b'\t' => char::from(*byte),
                    byte => visible(*byte),
                }));
                text.push('\n');
            }
            Form::Hex => lines(text, data, false),
            Form::HexAndText => lines(text, data, true),
        }
    }
}

/// Where the first layer begins that is no link header. Tags belong to what is behind it, as in tcpdump.
fn behind_link_header(layers: &[Field]) -> usize {
    match layers {
        [link, ..] if matches!(link.name, "eth" | "sll" | "null" | "ppp") => {
            (link.offset + link.len) as usize
        }
        _ => 0,
    }
}

fn visible(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' {
        byte.into()
    } else {
        '.'
    }
}

/// Sixteen bytes a line.
fn lines(text: &mut String, data: &[u8], with_text: bool) {
    for (place, bytes) in data.chunks(16).enumerate() {
        let _ = write!(text, "\t0x{:04x}: ", place * 16);
        let mut width = 0;
        for pair in bytes.chunks(2) {
            text.push(' ');
            for byte in pair {
                let _ = write!(text, "{byte:02x}");
            }
            width += 1 + 2 * pair.len();
        }
        if with_text {
            let _ = write!(text, "{:1$}", "", 42 - width);
            text.extend(bytes.iter().map(|byte| match byte {
                b' ' => '.',
                byte => visible(*byte),
            }));
        }
        text.push('\n');
    }
}
