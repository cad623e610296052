//! Engines that are scripts: what they can reach, and what comes of whatever they do. The real ones are in the tests of
//! whole captures.

mod confinement;
mod output;
mod sharkd;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use capture_analysis::Finding;
use capture_packet::testing::{SECOND, udp_frame};
use tempfile::TempDir;

use super::{EngineKind, Engines, Error};
use crate::{Analysis, EngineReport, Input, analyze, testing::Pcapng};

/// A machine with one engine.
struct Machine {
    directory: TempDir,
}

impl Machine {
    fn with(program: &str, script: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(program);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("it is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is its owner's");
        Self { directory }
    }

    /// A Suricata that reads each file well, and does this in the directory of its output.
    fn suricata(does: &str) -> Self {
        Self::with(
            "suricata",
            &format!(
                "[ \"$1\" = -V ] && {{ echo This is Suricata version 7.7.7 RELEASE; exit; }}
                 while [ $# -gt 0 ]; do
                     [ \"$1\" = -l ] && cd \"$2\"
                     [ \"$1\" = -r ] && file=$2
                     shift
                 done
                 echo 'Info: 1 rule files processed. 2 rules successfully loaded, 0 rules failed, 0'
                 echo 'i: pcap: read 1 file, 1 packets, 60 bytes'
                 {does}"
            ),
        )
    }

    /// An nDPI with these flows.
    fn ndpi(flows: &str, times: &str) -> Self {
        Self::with(
            "ndpiReader",
            &format!(
                "[ \"$1\" = -h ] && {{ cat <<'end'; exit; }}
Welcome to nDPI 4.4.4

nDPI supported risks:
 Id Risk                                             Severity Score CliScore SrvScore
  1 XSS Attack                                       Severe   250      225      25
 12 HTTP Numeric IP Address                          Low      10       5        5
 36 Clear-Text Credentials                           High     100      90       10
end
while [ $# -gt 0 ]; do
    [ \"$1\" = -w ] && text=$2
    [ \"$1\" = -C ] && table=$2
    shift
done
cat > $text <<'end'
{flows}
end
cat > $table <<'end'
{times}
end"
            ),
        )
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn find(&self, kind: EngineKind) -> Result<Engines, Error> {
        Engines::find_in(self.path().as_os_str(), &[kind], None)
    }

    /// What comes of a capture of one packet.
    fn run(&self, kind: EngineKind) -> (EngineReport, Vec<Finding>) {
        self.run_within(kind, Duration::from_secs(60))
    }

    fn run_within(&self, kind: EngineKind, time: Duration) -> (EngineReport, Vec<Finding>) {
        let mut inputs = [capture("capture")];
        let mut engines = self.find(kind).expect("it is there");
        engines.launcher.limits.time = time;
        engines.launcher.limits.file = 1 << 20;
        engines.take(&mut inputs).expect("a copy");
        let scratch = engines.launcher.scratch.path().to_owned();
        let mut analysis: Analysis = analyze(&mut inputs).expect("it is read");
        let own = analysis.report.findings.len();
        engines.run(&mut analysis);
        assert!(!scratch.exists(), "the scratch directory is left");
        let report = analysis.engines.pop().expect("its report");
        let findings: Vec<_> = analysis
            .report
            .findings
            .into_iter()
            .filter(|it| ["suricata.alert", "ndpi.risk"].contains(&it.code))
            .collect();
        assert!(own < 10);
        (report, findings)
    }
}

/// Comes through a pipe.
fn capture(name: &str) -> Input {
    let frame = udp_frame(("10.0.0.1", 1000), ("10.0.0.2", 53), b"data");
    let file = Pcapng::new("task", "eth0").packet(SECOND, &frame);
    Input::stream(name, std::io::Cursor::new(file.bytes()))
}

#[test]
fn an_engine_that_is_not_there_is_named_with_its_package() {
    let machine = Machine::with("other", "");
    for (kind, words) in [
        (EngineKind::Suricata, "install the package suricata"),
        (EngineKind::Ndpi, "install the package libndpi-bin"),
    ] {
        let error = machine.find(kind).expect_err("it is not there");
        assert!(error.to_string().contains(words), "{error}");
    }
    // One beside the capture is not meant.
    let found = Engines::find_in(std::ffi::OsStr::new("."), &[EngineKind::Ndpi], None);
    assert!(matches!(found, Err(Error::Missing { .. })));
}

#[test]
fn one_that_does_not_say_its_version_is_refused() {
    let machine = Machine::with("suricata", "echo something else");
    let error = machine
        .find(EngineKind::Suricata)
        .expect_err("it is another program");
    assert!(
        error
            .to_string()
            .contains("does not say its version: something else"),
        "{error}"
    );
}
