//! Whole captures for tests: a [`Lab`] that feeds an analyzer and can ask tshark.

pub(crate) use capture_packet::testing::*;

use crate::{Analyzer, Finding, Interface, Losses, Options, Packet, Report};

/// A capture in the making, on one interface, that lost nothing.
pub(crate) struct Lab {
    analyzer: Analyzer,
    link_type: u16,
    frames: Vec<(u64, Vec<u8>)>,
    now: u64,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::of_link_type(1)
    }

    pub(crate) fn of_link_type(link_type: u16) -> Self {
        let mut analyzer = Analyzer::new(Options::default());
        let interface = Interface {
            link_type,
            ..Interface::default()
        };
        analyzer.interface(0, interface);
        Self {
            analyzer,
            link_type,
            frames: Vec::new(),
            now: START,
        }
    }

    /// Lets time go by.
    pub(crate) fn wait(&mut self, ns: u64) -> &mut Self {
        self.now += ns;
        self
    }

    /// A frame, now. Each takes a microsecond.
    pub(crate) fn send(&mut self, frame: Vec<u8>) -> &mut Self {
        self.frames.push((self.now, frame));
        let frame = &self.frames[self.frames.len() - 1].1;
        self.analyzer.packet(&Packet {
            number: self.frames.len() as u64,
            timestamp_ns: self.now,
            interface: 0,
            direction: None,
            original_len: frame.len() as u32,
            lost_before: 0,
            data: frame,
        });
        self.now += 1_000;
        self
    }

    /// The capture says that it lost packets.
    pub(crate) fn lose(&mut self, packets: u64) -> &mut Self {
        let losses = Losses {
            capture: packets,
            interface: 0,
        };
        self.analyzer.losses(losses);
        self
    }

    /// The capture goes on for long enough that silence means something, and ends.
    pub(crate) fn end(mut self) -> Outcome {
        self.wait(10 * SECOND);
        self.send(udp_frame(("192.0.2.250", 9), ("192.0.2.251", 9), b"end"));
        Outcome {
            report: self.analyzer.finish(),
            link_type: self.link_type,
            frames: self.frames,
        }
    }
}

/// What came of a [`Lab`].
pub(crate) struct Outcome {
    pub(crate) report: Report,
    link_type: u16,
    frames: Vec<(u64, Vec<u8>)>,
}

impl Outcome {
    /// Codes of the findings.
    pub(crate) fn codes(&self) -> Vec<&'static str> {
        let findings = self.report.findings.iter();
        findings.map(|finding| finding.code).collect()
    }

    /// The only finding, which must have this code and whose `check` must show the packets that it cites.
    pub(crate) fn only(&self, code: &str) -> &Finding {
        assert_eq!(self.codes(), [code], "{:#?}", self.report.findings);
        let finding = &self.report.findings[0];
        self.check(finding);
        finding
    }

    /// The one finding of this code, beside others.
    pub(crate) fn findings_of(&self, code: &str) -> &Finding {
        let mut findings = self
            .report
            .findings
            .iter()
            .filter(|finding| finding.code == code);
        let finding = findings.next().expect("a finding");
        assert!(findings.next().is_none(), "{code} is there twice");
        self.check(finding);
        finding
    }

    /// There is nothing to be said.
    pub(crate) fn nothing(&self) {
        assert_eq!(self.codes(), [""; 0], "{:#?}", self.report.findings);
    }

    /// What tshark says a field is of the packets that pass a display filter; `None` without tshark.
    pub(crate) fn tshark(&self, filter: &str, field: &str) -> Option<Vec<String>> {
        let args = ["-Y", filter, "-T", "fields", "-e", field];
        tshark(self.link_type, &self.frames, &args)
    }

    /// Asks tshark whether a finding's `check` shows the packets that it cites.
    pub(crate) fn check(&self, finding: &Finding) {
        let Some(shown) = self.tshark(&finding.check, "frame.number") else {
            return;
        };
        for cited in finding.packets.packets() {
            assert!(
                shown.contains(&cited.to_string()),
                "{}: {} shows {shown:?}, and not {cited}",
                finding.code,
                finding.check
            );
        }
    }
}
