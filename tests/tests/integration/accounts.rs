//! Captures in which each figure is more than nothing, each with the summary and with the closing table as
//! its end. That all agree, with each other and with the files, is checked at every end; here, that the
//! figure in question is there at all.

use capture_tests::{
    agent::{self, Ended, Running},
    netns::{HOST_IF, Lab, PEER_IF},
    traffic,
};

/// Frames of 100 and of 1,000 bytes by turns.
fn frames(count: u32) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..count).map(|number| traffic::frame(number, [100, 1000][number as usize % 2]))
}

/// Captures twice, once for the summary and once for the table.
fn both(options: &[&str], send: impl Fn(&Lab, &Running<'_>)) -> [Ended; 2] {
    let lab = Lab::new();
    let options = [&["-i", HOST_IF, "--port", "53"], options].concat();
    [agent::start, agent::start_with_table].map(|start| {
        let running = start(&lab.host, &options);
        running.wait_ready();
        send(&lab, &running);
        running.stop().expect_code(0)
    })
}

/// The row of the closing table.
fn row<'a>(ended: &'a Ended, label: &str) -> &'a str {
    let rows = ended.stderr.lines();
    let row = rows
        .filter_map(|line| line.strip_prefix(label))
        .find(|rest| rest.starts_with("  "));
    ended.check(row.is_some(), format_args!("no row {label}"));
    row.unwrap_or_default().trim()
}

#[test]
fn all_are_captured() {
    for file in ["o.pcapng", "o.pcap"] {
        let [json, table] = both(&["-w", file], |lab, _| {
            traffic::send(&lab.peer, PEER_IF, 5000, frames(1000));
        });
        assert_eq!(json.counter("captured"), 1000);
        assert_eq!(row(&table, "captured"), "1,000 (550.0 kB)");
        assert_eq!(row(&table, "lost"), "0, the capture is complete");
    }
}

#[test]
fn some_are_too_long() {
    let options = ["-s", "500", "--oversize", "discard", "-w", "o.pcapng"];
    let [json, table] = both(&options, |lab, _| {
        traffic::send(&lab.peer, PEER_IF, 5000, frames(1000));
    });
    assert_eq!(json.counter("oversize_discarded"), 500);
    assert_eq!(row(&table, "too long"), "500");
}

#[test]
fn some_are_over_the_limit() {
    for limit in [["-c", "700"], ["--max-file-bytes", "300kB"]] {
        let options = [&limit[..], &["-w", "o.pcapng"]].concat();
        let lab = Lab::new();
        let options = [&["-i", HOST_IF], &options[..]].concat();
        for start in [agent::start, agent::start_with_table] {
            let running = start(&lab.host, &options);
            running.wait_ready();
            // All at once, so that some come after the one that ends it.
            traffic::send(&lab.peer, PEER_IF, 0, frames(1500));
            let ended = running
                .wait(std::time::Duration::from_secs(10))
                .expect_code(0);
            match &ended.summary {
                Some(_) => ended.check(ended.counter("over_limit") > 0, "some over the limit"),
                None => ended.check(row(&ended, "over limit") != "0", "some over the limit"),
            }
        }
    }
}

/// The smallest ring there is, and a reader that is held up.
#[test]
fn some_find_no_room_in_the_ring() {
    use nix::sys::signal::Signal::{SIGCONT, SIGSTOP};
    let options = ["--ring-size", "64KiB", "-w", "o.pcapng"];
    let [json, table] = both(&options, |lab, running| {
        running.signal(SIGSTOP);
        traffic::send(&lab.peer, PEER_IF, 0, frames(5000));
        running.signal(SIGCONT);
        traffic::send(&lab.peer, PEER_IF, 1000, frames(100));
    });
    json.check(json.counter("ring") > 0, "a loss");
    json.check(json.counter("captured") > 0, "and packets");
    let lost = row(&table, "lost");
    table.check(lost.contains("the capture is NOT complete"), lost);
    table.check(lost.contains("ring full"), lost);
}

#[test]
fn several_files_and_several_interfaces() {
    let lab = Lab::new();
    lab.pair("cap1", "peer1");
    let options = ["-i", HOST_IF, "-i", "cap1", "-C", "100kB", "-w", "o.pcapng"];
    for start in [agent::start, agent::start_with_table] {
        let running = start(&lab.host, &options);
        running.wait_ready();
        for peer in [PEER_IF, "peer1"] {
            traffic::send(&lab.peer, peer, 5000, frames(500));
        }
        let ended = running.stop().expect_code(0);
        let names = ended.directory_names();
        ended.check(names.len() > 5, format_args!("{names:?}"));
    }
}

#[test]
fn standard_output() {
    let [json, table] = both(&["-w", "-"], |lab, _| {
        traffic::send(&lab.peer, PEER_IF, 5000, frames(1000));
    });
    assert_eq!(json.counter("captured"), 1000);
    assert_eq!(row(&table, "captured"), "1,000 (550.0 kB)");
}
