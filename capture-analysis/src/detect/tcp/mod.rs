//! TCP: what the connections measure, summed up by client, server and port; and what ICMP says about them.

mod attempts;
mod detector;
mod findings;
mod icmp;
mod service;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::detector::round_trips;
pub(super) use self::{detector::Detector, findings::all as findings};
