//! Floods: far more packets than a host or service had before, from senders that do not want an answer, or that are answered
//! to the wrong host.

mod amplification;
mod datagrams;
mod echo;
mod syn;

pub(super) use self::{amplification::Amplification, datagrams::Datagrams, echo::Echo, syn::Syn};
use super::rate::Rate;
use super::sets::about;
use crate::{address::Address, rules::security as rules, sketch::Distinct};

/// Whether a rate is a multiple of what it was before.
fn is_sudden(rate: &Rate) -> bool {
    let before = rate.baseline().max(1.0);
    rules::FLOOD_FACTOR.is_reached(rate.peak() as f64 / before)
}

/// Whom packets come from, as a part of a sentence.
fn senders(sources: &Distinct, first: Option<Address>) -> String {
    match (sources.count(), first) {
        (0 | 1, Some(source)) => format!("from {source}"),
        _ => format!("from {} addresses, which may be forged", about(sources)),
    }
}
