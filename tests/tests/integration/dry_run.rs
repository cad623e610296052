//! `run --dry-run`: what the capture would be, and the refusal that it would have; nothing is attached or written.

use std::{fs, process::Command};

use capture_tests::{
    agent::binary,
    netns::{HOST_IF, Lab},
    other_programs::{ForeignProgram, Xdp},
};
use serde_json::Value;
use tempfile::TempDir;

struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(lab: &Lab, directory: &TempDir, arguments: &[&str]) -> Done {
    let mut command = lab.host.command(binary());
    command
        .arg("run")
        .args(arguments)
        .current_dir(directory.path());
    done(command)
}

fn done(mut command: Command) -> Done {
    let output = command.output().expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Done {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

#[test]
fn a_dry_run_tells_of_the_capture_and_makes_none() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let before = lab.host.attachments();
    let arguments = [
        "-i",
        HOST_IF,
        "--port",
        "443",
        "--duration",
        "1m",
        "-c",
        "1000",
        "-s",
        "96",
    ];
    let told = run(
        &lab,
        &directory,
        &[&arguments[..], &["-w", "web.pcap", "--dry-run"]].concat(),
    );
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    for words in [
        "valid\nname     cap0\nfilter   ",
        &format!("\non       {HOST_IF} (tc, "),
        "\nframes   both ways, the first 96 bytes of each, pcap\n",
        "\nfile     web.pcap\n",
        "\nstarts   now\n",
        " (duration 1m), or after 1,000 packets, whichever comes first\n",
        " at most; ",
        "\nrings    67.1 MB\n",
    ] {
        assert!(told.stdout.contains(words), "{words}: {}", told.stdout);
    }
    let told = run(
        &lab,
        &directory,
        &[&arguments[..], &["--dry-run", "-o", "json"]].concat(),
    );
    let told: Value = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(
        (&told["valid"], &told["spec"]["format"]),
        (&true.into(), &"pcapng".into())
    );
    assert!(
        told["file"]
            .as_str()
            .is_some_and(|file| file.ends_with(".pcapng")),
        "{told}"
    );
    let names = fs::read_dir(directory.path()).expect("it is there");
    assert_eq!(names.count(), 0);
    assert_eq!(lab.host.attachments(), before);
}

#[test]
fn a_dry_run_fails_as_the_capture_would() {
    let lab = Lab::new();
    let directory = tempfile::tempdir().expect("a directory");
    let other = ForeignProgram::xdp(&lab.host, HOST_IF, Xdp::Native);
    for (arguments, code) in [
        (&["-i", "no-such-if"][..], 2),
        (&["-i", HOST_IF, "--ip", "10.0.0.256"], 2),
        (&["-i", HOST_IF, "-w", "none/x.pcapng"], 1),
        (&["-i", HOST_IF, "--hook", "xdp", "-w", "x.pcapng"], 4),
        (&["-i", HOST_IF, "--netns", "no-such-ns"], 3),
    ] {
        let real = run(&lab, &directory, arguments);
        let dry = run(&lab, &directory, &[arguments, &["--dry-run"]].concat());
        assert_eq!(
            (real.code, dry.code),
            (Some(code), Some(code)),
            "{arguments:?}: {}",
            dry.stderr
        );
        // Namespaces of other tests come and go, and one that is not there is answered with all names.
        if code != 3 {
            assert_eq!(dry.stderr, real.stderr, "{arguments:?}");
        }
        assert_eq!(dry.stdout, "", "{arguments:?}");
    }
    drop(other);
    // Nor without the privileges.
    let mut command = lab.host.command("setpriv");
    command.args([
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--ambient-caps=-all",
    ]);
    command
        .arg(binary())
        .args(["run", "-i", HOST_IF, "--dry-run"]);
    command.current_dir(directory.path());
    let refused = done(command);
    assert_eq!(refused.code, Some(6), "{}", refused.stderr);
}
