//! DNS over UDP and TCP: each query and its answer, and the figures of each server.

mod clients;
mod detector;
mod domains;
mod judge;
mod names;
mod servers;

pub(super) use self::detector::Detector;
use crate::{facts::Facts, finding::Finding};

pub(super) fn findings(detector: &Detector, facts: &Facts, findings: &mut Vec<Finding>) {
    judge::findings(detector, facts, findings);
    detector.clients.findings(facts, findings);
    detector.domains.findings(facts, findings);
}
