//! What is printed of a packet, resolved from the options.

use capture_packet::filter::Filter;

use super::{bytes::Dump, time::TimeForm};
use crate::{
    args::{OutputForm, StyleArgs},
    error::{Error, Result},
};

/// The filter of `-Y`.
pub(crate) fn parsed_filter(text: &str) -> Result<Filter> {
    text.parse()
        .map_err(|fault| Error::usage(format!("--display-filter: {fault}")))
}

/// What is printed of a packet.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(super) filter: Option<Filter>,
    pub(super) time: TimeForm,
    pub(super) number: bool,
    pub(super) link_header: bool,
    pub(super) relative_numbers: bool,
    pub(super) dump: Option<Dump>,
    pub(super) tree: bool,
    pub(super) json: bool,
}

impl Style {
    /// # Errors
    /// The filter is none.
    pub(crate) fn new(args: &StyleArgs, tree: bool, form: OutputForm) -> Result<Self> {
        let StyleArgs {
            display_filter,
            time,
            number,
            link_header,
            absolute_sequence_numbers,
            hex,
            hex_and_text,
            text,
            line_buffered: _,
            numeric: _,
        } = args;
        let filter = display_filter.as_deref().map(parsed_filter).transpose()?;
        Ok(Self {
            filter,
            time: TimeForm::of(*time),
            number: *number,
            link_header: *link_header,
            relative_numbers: !absolute_sequence_numbers,
            dump: Dump::of(*hex, *hex_and_text, *text),
            tree,
            json: form == OutputForm::Json,
        })
    }
}
