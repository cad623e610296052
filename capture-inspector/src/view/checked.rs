//! What can be said of a filter without a capture. The text comes from whoever asks, and not from packets.

use capture_packet::{
    fields::known,
    filter::{Fault, Filter},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::request::ViewFault;

/// A field that a filter may name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KnownField {
    /// Wireshark's name: `ip.src`.
    pub name: &'static str,
    /// What its values are: `IPv4 address`, `number, 16 bits`.
    pub kind: String,
    /// What it is.
    pub label: &'static str,
}

/// Makes a filter of a text; none where the text is empty, which lets all packets pass.
///
/// # Errors
/// [`ViewFault::Filter`], where the text is no filter.
pub(super) fn parsed(text: &str) -> Result<Option<Filter>, ViewFault> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let parsed: Result<Filter, Fault> = text.parse();
    parsed.map(Some).map_err(|fault| {
        let (from, to) = fault.span(text);
        ViewFault::Filter {
            from,
            to,
            detail: fault.message,
        }
    })
}

/// Whether a text is a filter.
///
/// # Errors
/// [`ViewFault::Filter`], where it is not.
pub fn check_filter(text: &str) -> Result<(), ViewFault> {
    parsed(text).map(|_| ())
}

/// Whether there is a field of this name.
pub fn is_field(name: &str) -> bool {
    known::find(name).is_some()
}

/// The fields whose names begin with this, in the order of the table, at most so many.
pub fn known_fields(prefix: &str, limit: usize) -> Vec<KnownField> {
    let fields = known::all().filter(|known| known.name.starts_with(prefix));
    let fields = fields.take(limit).map(|known| KnownField {
        name: known.name,
        kind: known.kind.to_string(),
        label: known.about,
    });
    fields.collect()
}
