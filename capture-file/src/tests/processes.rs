//! What needs a process of its own: standard output, and an agent that is killed. The test binary runs
//! one of the `child_…` functions below in it.

use std::{
    io::Read,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use super::*;
use crate::scan;

const PATH: &str = "CAPTURE_AGENT_TEST_PATH";

fn spawn(child: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().expect("the test binary"))
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(format!("tests::processes::{child}"))
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the test binary runs")
}

#[test]
#[ignore = "run by standard_output_is_a_capture"]
fn child_writes_to_stdout() {
    let stdout = OutputConfig {
        target: Target::Stdout,
        task_id: "id".to_owned(),
        space: None,
        owner: None,
        earlier: EarlierFiles::default(),
    };
    let mut sink = FileOutput::open(&plan(Format::Pcapng), &stdout, &[interface(2, "lo")])
        .expect("standard output opens");
    for n in 0..1000 {
        sink.packet(&packet(n, &[1; 1400]));
    }
    let report = sink.finish(&closing());
    assert!(report.error.is_none(), "{:?}", report.error);
    assert_eq!(report.files[0].name, "-");
}

#[test]
fn standard_output_is_a_capture() {
    let mut child = spawn("child_writes_to_stdout", Path::new("-"));
    let mut content = Vec::new();
    let mut stdout = child.stdout.take().expect("its standard output");
    stdout.read_to_end(&mut content).expect("it is read");
    assert!(child.wait().expect("it ends").success());

    // The test harness speaks on standard output as well, before and after.
    let magic = [0x0a, 0x0d, 0x0d, 0x0a];
    let start = content
        .windows(4)
        .position(|window| window == magic)
        .expect("a section header");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcapng");
    fs::write(&path, &content[start..]).expect("a file");
    let found = scan(&fs::File::open(&path).expect("the file")).expect("a capture");
    assert_eq!(found.packets, 1000);
}

#[test]
#[ignore = "run by a_killed_agent_leaves_whole_packets"]
fn child_writes_for_ever() {
    let path = std::env::var_os(PATH).expect("the path is given");
    let mut sink = open(&plan(Format::Pcapng), Path::new(&path)).expect("the output opens");
    for n in 0.. {
        sink.packet(&packet(n, &vec![1; 60 + (n % 1000) as usize]));
        if n % 50 == 0 {
            sink.flush();
            thread::sleep(Duration::from_micros(200));
        }
    }
}

#[test]
fn a_killed_agent_leaves_whole_packets() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("a.pcapng");
    let part = directory.path().join("a.pcapng.part");
    for round in 1..=5 {
        let mut child = spawn("child_writes_for_ever", &path);
        while fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 1 << 20 {
            thread::sleep(Duration::from_millis(1));
            assert_eq!(child.try_wait().expect("its state"), None);
        }
        thread::sleep(Duration::from_micros(700 * round));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");

        let whole = scan(&fs::File::open(&part).expect("the .part")).expect("a capture");
        assert!(whole.packets > 1000);
        // The next capture of this name takes care of it.
        open(&plan(Format::Pcapng), &path)
            .expect("it opens")
            .finish(&closing());
        let suffix = if round == 1 {
            String::new()
        } else {
            format!("_{round}")
        };
        let recovered = directory
            .path()
            .join(format!("a_interrupted{suffix}.pcapng"));
        assert_eq!(read(&recovered).0.len() as u64, whole.packets);
    }
}
