//! What the doctor found: a verdict for each way in, and the checks.

use capture_engine::{
    doctor,
    doctor::{Check, Report, Status},
};
use capture_store::ownership::own_name;
use serde::{Deserialize, Serialize};

/// All that is said.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// Whether one of the ways leads to a capture.
    pub can_capture: bool,
    /// Each of them.
    pub ways: Ways,
    /// Those of this process.
    pub checks: Vec<Check>,
}

/// The two ways in.
#[derive(Debug, Serialize)]
pub struct Ways {
    /// As the user of this process.
    pub you: Way,
    /// By tasks of the daemon.
    pub daemon: Way,
}

/// A way in, and where it leads.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// The user, or where the daemon answers.
    pub who: String,
    /// Whether it leads to a capture.
    pub can_capture: bool,
    /// What shows that, or what is in the way.
    pub found: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// A check that failed as the reason of it. What the verifier says is for whoever asks.
pub(crate) fn reason(check: &Check) -> String {
    let found = check.found.lines().next().unwrap_or_default();
    format!("{}: {found}", check.name)
}

/// What the daemon says of itself.
#[derive(Debug, Deserialize)]
pub struct DaemonReport {
    can_capture: bool,
    checks: Vec<DaemonCheck>,
}

#[derive(Debug, Deserialize)]
struct DaemonCheck {
    name: String,
    status: String,
    detail: String,
    remedy: Option<String>,
}

impl Diagnosis {
    /// Captures for a try, and judges what the daemon at `who` has said, or why it has said nothing.
    pub fn new(who: String, asked: Result<DaemonReport, String>) -> Self {
        let report = doctor::examine();
        let ways = Ways {
            you: yours(&report),
            daemon: match asked {
                Ok(asked) => asked.way(who),
                Err(message) => refused(who, &message),
            },
        };
        Self {
            can_capture: ways.you.can_capture || ways.daemon.can_capture,
            ways,
            checks: report.checks,
        }
    }
}

fn yours(report: &Report) -> Way {
    let checks = report.checks.iter();
    let decisive = match report.can_capture {
        true => checks.rev().find(|check| check.name == doctor::CAPTURE),
        false => checks
            .into_iter()
            .find(|check| check.status == Status::Fail),
    };
    Way {
        who: own_name(),
        can_capture: report.can_capture,
        found: decisive.map_or_else(String::new, |check| match report.can_capture {
            true => check.found.clone(),
            false => reason(check),
        }),
        remedy: decisive.and_then(|check| check.remedy.clone()),
    }
}

impl DaemonReport {
    fn way(self, who: String) -> Way {
        let Self {
            can_capture,
            checks,
        } = self;
        let mut checks = checks.into_iter();
        let decisive = checks.find(|check| match can_capture {
            true => check.name == doctor::CAPTURE,
            false => check.status == "failed",
        });
        Way {
            who,
            can_capture,
            found: decisive.as_ref().map_or_else(String::new, |check| {
                let first = check.detail.lines().next().unwrap_or_default();
                match (can_capture, first.rsplit_once(": ")) {
                    (true, Some((found, _))) => found.to_owned(),
                    _ => format!("{}: {first}", check.name),
                }
            }),
            remedy: decisive.and_then(|check| check.remedy),
        }
    }
}

/// Errors end in what to do.
fn refused(who: String, message: &str) -> Way {
    let (found, remedy) = match message.split_once("; ") {
        Some((found, remedy)) => (found.to_owned(), Some(remedy.to_owned())),
        None => (message.to_owned(), None),
    };
    Way {
        who,
        can_capture: false,
        found,
        remedy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, status: Status, found: &str, remedy: Option<&str>) -> Check {
        Check {
            name: name.to_owned(),
            status,
            found: found.to_owned(),
            meaning: "why".to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn the_decisive_check_speaks_for_a_way() {
        let kernel = || check("kernel", Status::Ok, "6.18", None);
        let fine = Report {
            can_capture: true,
            checks: vec![
                kernel(),
                check("capture", Status::Ok, "captured a packet", None),
            ],
        };
        assert_eq!(
            yours(&fine),
            Way {
                who: own_name(),
                can_capture: true,
                found: "captured a packet".to_owned(),
                remedy: None,
            }
        );
        let lacking = Report {
            can_capture: false,
            checks: vec![
                kernel(),
                check("privileges", Status::Fail, "missing CAP_BPF", Some("sudo")),
            ],
        };
        let way = yours(&lacking);
        assert_eq!(
            (way.found.as_str(), way.remedy.as_deref()),
            ("privileges: missing CAP_BPF", Some("sudo"))
        );
    }

    #[test]
    fn why_the_daemon_is_no_way() {
        let way = refused(
            "/x".to_owned(),
            "no daemon is running: /x does not exist; start it",
        );
        assert_eq!(
            (way.found.as_str(), way.remedy.as_deref()),
            ("no daemon is running: /x does not exist", Some("start it"))
        );
    }
}
