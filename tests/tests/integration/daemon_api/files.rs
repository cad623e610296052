//! Downloads: whole and in part, of a task that runs and of one that has ended, with what a client needs to
//! go on where it stopped.

use std::fs;

use capture_tests::{
    daemon::{self, Daemon, udp_task},
    http::Answer,
    netns::Lab,
    readers, traffic,
};
use serde_json::json;

#[track_caller]
fn fetch(daemon: &Daemon, id: &str, method: &str, headers: &[(&str, &str)]) -> Answer {
    let target = format!("/api/v1/tasks/{id}/files/0");
    daemon.ask_with(method, &target, headers, b"")
}

#[test]
fn a_file_is_given_whole_or_in_part_with_its_name() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    for (format, kind) in [
        ("pcapng", "application/x-pcapng"),
        ("pcap", "application/vnd.tcpdump.pcap"),
    ] {
        let id = daemon.run(udp_task(json!({"name": "wéb/1", "format": format})));
        traffic::send_to_host(&lab, 0..50, 500);
        daemon.captured(&id, 50);
        let task = daemon.stop_task(&id);
        let path = daemon.captures(&id).join(format!("capture.{format}"));
        let file = fs::read(path).expect("the file");
        let length = file.len();

        let whole = fetch(&daemon, &id, "GET", &[]).expect(200);
        let header = |name| whole.header(name).unwrap_or_default();
        assert_eq!(whole.body, file);
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("content-length"), length.to_string());
        assert_eq!(header("accept-ranges"), "bytes");
        let started = task["started_at"].as_str().expect("a time");
        let started = started[..19].replace(['-', ':'], "");
        let name = format!("{started}Z_{}.{format}", &id[20..]);
        let name =
            format!("attachment; filename=\"w_b-1_{name}\"; filename*=UTF-8''w%C3%A9b-1_{name}");
        assert_eq!(header("content-disposition"), name);
        let tag = format!(
            "\"{}\"",
            task["files"][0]["sha256"].as_str().expect("a digest")
        );
        assert_eq!(header("etag"), tag);

        for (range, first, end) in [
            ("bytes=0-27".to_owned(), 0, 28),
            ("bytes=28-".to_owned(), 28, length),
            ("bytes=-4".to_owned(), length - 4, length),
            (format!("bytes=100-{}", length * 2), 100, length),
        ] {
            for headers in [
                &[("Range", &*range)][..],
                &[("Range", &range), ("If-Range", &tag)],
            ] {
                let part = fetch(&daemon, &id, "GET", headers).expect(206);
                assert_eq!(part.body, file[first..end], "{range}");
                let told = format!("bytes {first}-{}/{length}", end - 1);
                assert_eq!(part.header("content-range"), Some(&*told));
                assert_eq!(part.header("content-disposition"), Some(&*name));
            }
        }
        // Of another version, the whole is due.
        let other = [("Range", "bytes=0-27"), ("If-Range", "\"other\"")];
        assert_eq!(fetch(&daemon, &id, "GET", &other).expect(200).body, file);
        let known = fetch(&daemon, &id, "GET", &[("If-None-Match", &tag)]).expect(304);
        assert!(known.body.is_empty());
        let beyond = [("Range", &*format!("bytes={length}-"))];
        let beyond = fetch(&daemon, &id, "GET", &beyond);
        let there = format!("bytes */{length}");
        assert_eq!(beyond.header("content-range"), Some(&*there));
        assert_eq!(beyond.problem(416), [(String::new(), "range".to_owned())]);
    }
    daemon.stop();
}

#[test]
fn a_file_that_grows_is_given_up_to_its_last_whole_packet_and_goes_on_from_there() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({"format": "pcap"})));
    let mut bytes = Vec::new();
    for round in 0..3_u32 {
        traffic::send_to_host(&lab, round * 100..(round + 1) * 100, 500);
        daemon.captured(&id, u64::from(round + 1) * 100);
        let range = format!("bytes={}-", bytes.len());
        let part = fetch(&daemon, &id, "GET", &[("Range", &range)]).expect(206);
        bytes.extend(part.body);
        let path = daemon.home().path().join("part.pcap");
        fs::write(&path, &bytes).expect("a copy");
        assert_eq!(readers::packet_count(&path), u64::from(round + 1) * 100);
    }
    daemon.stop_task(&id);
    assert_eq!(fetch(&daemon, &id, "GET", &[]).expect(200).body, bytes);
    daemon.stop();
}

#[test]
fn files_that_are_not_there() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(udp_task(json!({})));
    for file in [
        "1",
        "00000000000000000001x",
        "-1",
        "+0",
        "0x0",
        "18446744073709551616",
        "capture.pcapng",
    ] {
        let path = format!("/tasks/{id}/files/{file}");
        let gone = daemon.ask("GET", &path, None).problem(404);
        assert_eq!(gone, [(String::new(), "not_found".to_owned())], "{file}");
    }
    daemon.stop();
}
