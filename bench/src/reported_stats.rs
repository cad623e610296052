//! What each tool says at its end of how much it captured and lost, in its own words.

use capture_tests::counters::Figures;
use serde::Serialize;
use serde_json::Value;

/// A tool's own figures; `None` where it gives none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Claim {
    pub(crate) captured: Option<u64>,
    pub(crate) lost: Option<u64>,
}

/// `12 packets captured` and `3 packets dropped by kernel`, a line each. What the kernel had passed
/// and tcpdump not yet read when it was told to end counts as lost nowhere.
pub(crate) fn tcpdump(text: &str) -> Claim {
    Claim {
        captured: before(text, "packets captured").or_else(|| before(text, "packet captured")),
        lost: before(text, "packets dropped by kernel")
            .or_else(|| before(text, "packet dropped by kernel")),
    }
}

/// `Packets received/dropped on interface 'cap0': 12/3 (pcap:3/…) (80.0%)`.
pub(crate) fn dumpcap(text: &str) -> Claim {
    let figures = text
        .lines()
        .find_map(|line| line.strip_prefix("Packets received/dropped on interface"))
        .and_then(|line| line.split_once("': "))
        .and_then(|(_, figures)| figures.split_whitespace().next()?.split_once('/'));
    match figures {
        Some((captured, lost)) => Claim {
            captured: captured.parse().ok(),
            lost: lost.parse().ok(),
        },
        None => Claim::default(),
    }
}

/// `12  packets passed filter` and `3  packets failed filter (out of space)`.
pub(crate) fn netsniff_ng(text: &str) -> Claim {
    Claim {
        captured: before(text, "packets passed filter"),
        lost: before(text, "packets failed filter (out of space)"),
    }
}

/// `12 packets captured` and `3 packets dropped by perf ring`.
pub(crate) fn xdpdump(text: &str) -> Claim {
    Claim {
        captured: before(text, "packets captured"),
        lost: before(text, "packets dropped by perf ring"),
    }
}

/// The closing table of one task, or the JSON of `run -o json`, of one or of several.
pub(crate) fn agent(stdout: &str, stderr: &str) -> Claim {
    let Some(summary) = stdout
        .find('{')
        .and_then(|start| serde_json::from_str::<Value>(&stdout[start..]).ok())
    else {
        let figures = Figures::of_table(stderr);
        return Claim {
            captured: figures.map(|figures| figures.captured),
            lost: figures.map(|figures| figures.lost()),
        };
    };
    let one = [summary.clone()];
    let records = summary["tasks"].as_array().map_or(&one[..], Vec::as_slice);
    let sum = |count: &dyn Fn(&Value) -> Option<u64>| records.iter().map(count).sum();
    let counters = |record: &Value| record["counters"].clone();
    Claim {
        captured: sum(&|record| counters(record)["captured"].as_u64()),
        lost: sum(&|record| {
            let dropped = counters(record)["dropped"].clone();
            let stages = ["ring", "queue", "write", "copy"];
            stages.iter().map(|stage| dropped[stage].as_u64()).sum()
        }),
    }
}

/// The packets of a file as `capinfos -c -M` says: `Number of packets:   12`.
pub(crate) fn capinfos(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Number of packets:"))?;
    line.trim().parse().ok()
}

/// The number at the front of the line that goes on with `words`.
fn before(text: &str, words: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let number = line.trim().strip_suffix(words)?;
        number.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(captured: u64, lost: u64) -> Claim {
        Claim {
            captured: Some(captured),
            lost: Some(lost),
        }
    }

    #[test]
    fn tcpdump_is_understood() {
        let text = "tcpdump: listening on cap0, link-type EN10MB (Ethernet), snapshot length 128 \
                    bytes\n1964012 packets captured\n2010422 packets received by filter\n46410 \
                    packets dropped by kernel\n";
        assert_eq!(tcpdump(text), claim(1_964_012, 46_410));
        assert_eq!(
            tcpdump("1 packet captured\n1 packet received by filter\n0 packets dropped by kernel"),
            claim(1, 0)
        );
        assert_eq!(tcpdump("tcpdump: no such device"), Claim::default());
    }

    #[test]
    fn dumpcap_is_understood() {
        let text = "Capturing on 'cap0'\nFile: /tmp/a.pcapng\nPackets captured: 900\nPackets \
                    received/dropped on interface 'cap0': 900/100 \
                    (pcap:100/dumpcap:0/flushed:0/ps_ifdrop:0) (90.0%)\n";
        assert_eq!(dumpcap(text), claim(900, 100));
        assert_eq!(dumpcap("Capturing on 'cap0'"), Claim::default());
    }

    #[test]
    fn netsniff_ng_is_understood() {
        let text = "Running! Hang up with ^C!\n\n\r       1200  packets incoming (0 unread on \
                    exit)\n\r       1100  packets passed filter\n\r        100  packets failed \
                    filter (out of space)\n\r     8.3333%  packet droprate\n";
        assert_eq!(netsniff_ng(text), claim(1100, 100));
    }

    #[test]
    fn xdpdump_is_understood() {
        let text = "listening on cap0, ingress XDP program ID 5 func xdp_pass, capture mode \
                    entry, capture size 128 bytes\n\n700 packets captured\n12 packets dropped by \
                    perf ring\n";
        assert_eq!(xdpdump(text), claim(700, 12));
    }

    #[test]
    fn the_agent_is_understood() {
        let counters =
            r#"{"captured":7,"dropped":{"ring":1,"queue":2,"write":0,"copy":0},"matched":10}"#;
        let one = format!(r#"{{"counters":{counters},"files":[]}}"#);
        assert_eq!(agent(&one, ""), claim(7, 3));
        let two = format!(r#"{{"tasks":[{one},{one}]}}"#);
        assert_eq!(agent(&two, ""), claim(14, 6));
        let table =
            "matched     1,010\ncaptured    1,007 (60 KiB)\nlost        3 of 1,010 (3 ring full)\n";
        assert_eq!(agent("", table), claim(1007, 3));
        assert_eq!(agent("", "error: no such interface"), Claim::default());
    }

    #[test]
    fn capinfos_is_understood() {
        let text = "File name:           a.pcapng\nNumber of packets:   1234567\n";
        assert_eq!(capinfos(text), Some(1_234_567));
        assert_eq!(capinfos(""), None);
    }
}
