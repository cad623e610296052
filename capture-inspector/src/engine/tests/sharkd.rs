//! Wireshark's view of a packet: by the real program, and by ones that hang, end or say nonsense.

use std::time::{Duration, Instant};

use capture_packet::testing::{SECOND, udp_frame};

use super::{super::sharkd::Wireshark, Error, Machine};
use crate::testing::Pcapng;

/// A query for a name, and another packet before it.
fn capture() -> Vec<u8> {
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03net\x00\x00\x01\x00\x01";
    Pcapng::new("task", "eth0")
        .packet(0, &udp_frame(("10.0.0.1", 1000), ("10.0.0.2", 9), b"x"))
        .packet(
            SECOND,
            &udp_frame(("10.0.0.1", 1000), ("10.0.0.2", 53), query),
        )
        .bytes()
}

fn fake(does: &str) -> Wireshark {
    let machine = Machine::with(
        "sharkd",
        &format!(
            "[ \"$1\" = --version ] && {{ echo 'Sharkd (Wireshark) 9.8.7 (Git v9).'; exit; }}
             {does}"
        ),
    );
    let found = Wireshark::find_in(machine.path().as_os_str()).expect("it is there");
    // It goes with the process.
    std::mem::forget(machine);
    found
}

#[test]
fn the_real_one_takes_a_packet_apart() {
    let wireshark = Wireshark::find().expect("sharkd is installed");
    let name = wireshark.name();
    assert!(name.starts_with("Wireshark ") && name.len() > 12, "{name}");
    let tree = wireshark.tree(&capture(), &[17, 4711]).expect("an answer");
    let layers: Vec<_> = tree.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(layers, ["frame", "eth", "ip", "udp", "dns"]);
    assert!(
        tree[0].label.starts_with("Frame 4711: "),
        "{}",
        tree[0].label
    );
    assert_eq!((tree[4].offset, tree[4].length), (42, 33));
    let text = serde_json::to_string(&tree).expect("JSON");
    assert!(text.contains("www.example.net: type A"), "{text}");
    assert!(
        text.contains("dns.qry.name == \\\"www.example.net\\\""),
        "{text}"
    );
    assert!(!text.contains("udp.stream"), "{text}");
}

#[test]
fn one_that_hangs_is_ended_at_its_deadline() {
    for does in [
        "sleep 1234560",
        "while read -r line; do sleep 0.05; echo; done",
    ] {
        let began = Instant::now();
        let wireshark = fake(does).within(Duration::from_millis(700));
        let error = wireshark.tree(&capture(), &[1, 2]).expect_err("no answer");
        assert!(matches!(error, Error::Time { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    let left = std::fs::read_dir("/proc").expect("processes").flatten();
    let left = left.filter(|entry| {
        let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        line.starts_with("sleep\u{0}1234560")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn one_that_ends_or_says_nonsense_is_no_answer() {
    for (does, words) in [
        ("exit 3", "ended before its answer"),
        ("read -r line; kill -9 $$", "ended before its answer"),
        ("echo nonsense; sleep 5", "no valid answer"),
        (
            "echo '{\"jsonrpc\":\"2.0\",\"error\":{\"message\":\"not \\u202e so\"}}'; sleep 5",
            "not \\u{202e} so",
        ),
        (
            "echo '{\"result\":{}}'; echo '{\"result\":{}}'; sleep 5",
            "no tree",
        ),
        ("yes | tr -d '\\n'", "too long"),
    ] {
        let error = fake(does).tree(&capture(), &[1, 2]).expect_err(does);
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn it_reaches_nothing_but_the_capture() {
    let wireshark = fake(
        "read -r line
         for file in /etc/passwd /root /tmp /proc/1/status; do
             cat $file > /dev/null 2>&1 && said=\"$said $file\"
             ls $file/. > /dev/null 2>&1 && said=\"$said $file/\"
         done
         echo > /tmp/of-sharkd && said=\"$said written\"
         echo x >&2 && said=\"$said capture-written\"
         head -c 4 /proc/self/fd/2 > /dev/null || said=\"$said unread\"
         echo \"{\\\"error\\\":{\\\"message\\\":\\\"reached:$said\\\"}}\"",
    );
    let error = wireshark.tree(&capture(), &[1, 2]).expect_err("no tree");
    assert!(error.to_string().ends_with("reached:"), "{error}");
}
