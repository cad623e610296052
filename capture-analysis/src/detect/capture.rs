//! What the capture itself lost, cut, or saw twice.

use crate::{
    evidence::Evidence, finding::Finding, flow::FlowKey, rules::capture as rules, text::several,
};
use crate::{
    facts::Facts,
    seen::{Flow, Seen},
};

/// Longest Ethernet frame of the usual MTU, a tag included.
const ETHERNET_MAX: u32 = 1518;

/// Measures what the capture did not see.
#[derive(Clone, Debug, Default)]
pub(super) struct Detector {
    cut: Evidence,
    copies: Evidence,
    long: Evidence,
    longest: u32,
    /// TCP flows with payload, and those of which one direction is missing.
    flows: u64,
    one_sided_flows: u64,
    one_sided: Evidence,
}

impl Detector {
    #[inline]
    pub(super) fn packet(&mut self, seen: &Seen<'_, '_>) {
        let headers = seen.headers;
        if headers.is_cut() && headers.payload_len as usize > headers.payload.len() {
            self.cut.add(seen.number, seen.ns);
        }
        if headers.wire_len > ETHERNET_MAX && headers.ip.is_some() {
            self.long.add(seen.number, seen.ns);
            self.longest = self.longest.max(headers.wire_len);
        }
    }

    pub(super) fn copy(&mut self, number: u64, ns: u64) {
        self.copies.add(number, ns);
    }

    pub(super) fn flow(&mut self, key: &FlowKey, flow: &Flow) {
        const TCP: u8 = 6;
        if key.protocol != TCP || flow.payload == [0; 2] {
            return;
        }
        self.flows += 1;
        if flow.packets.contains(&0) {
            self.one_sided_flows += 1;
            self.one_sided.add(flow.first_packet, flow.first_ns);
        }
    }

    pub(super) fn is_one_sided(&self) -> bool {
        let share = self.one_sided_flows as f64 / self.flows.max(1) as f64;
        rules::ONE_SIDED_SHARE.is_reached(share)
            && self.one_sided_flows >= rules::ONE_SIDED_FLOWS.count()
    }

    pub(super) fn findings(&self, facts: &Facts, findings: &mut Vec<Finding>) {
        let losses = facts.losses.unwrap_or_default();
        let lost = losses.capture + losses.interface;
        if lost > 0 {
            let mut summary = format!("The capture lost {} itself", several(lost, "packet"));
            if losses.interface > 0 {
                summary.push_str(&format!(", {} of them in the interface", losses.interface));
            }
            summary.push_str("; what is missing below may have been there.");
            let finding = Finding::new(&rules::LOST, summary, Evidence::default());
            findings.push(finding.count(lost));
        }
        if self.is_one_sided() {
            let summary = format!(
                "Of {} of {} TCP flows with data only one direction was captured.",
                self.one_sided_flows, self.flows
            );
            findings.push(
                Finding::new(&rules::ONE_SIDED, summary, self.one_sided.clone())
                    .check("tcp".to_owned()),
            );
        }
        if !self.cut.is_empty() {
            let summary = format!(
                "The capture cut {} with payload; names, requests and certificates beyond the cut cannot be judged.",
                several(self.cut.count(), "packet")
            );
            findings.push(
                Finding::new(&rules::CUT, summary, self.cut.clone())
                    .check("frame.cap_len < frame.len".to_owned()),
            );
        }
        if self.copies.count() >= rules::DUPLICATES.count() {
            let summary = format!(
                "{} packets were captured a second time on another interface, and are counted once.",
                self.copies.count()
            );
            // No field says that a packet is a copy.
            let cited = self.copies.packets();
            let cited: Vec<_> = cited.iter().map(u64::to_string).collect();
            let cited = cited.join(", ");
            findings.push(
                Finding::new(&rules::DUPLICATES_SEEN, summary, self.copies.clone())
                    .check(format!("frame.number in {{{cited}}}")),
            );
        }
        if !self.long.is_empty() {
            let summary = format!(
                "{} of more than 1,518 bytes, up to {}: an offload joins segments, so sizes are not those of the wire.",
                several(self.long.count(), "frame"),
                self.longest
            );
            findings.push(
                Finding::new(&rules::OFFLOAD, summary, self.long.clone())
                    .check("frame.len > 1518".to_owned()),
            );
        }
    }
}
