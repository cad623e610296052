//! What people see of the doctor: a verdict for each way in, what failed, what to mind, and in one line all that is as it
//! should be.

use capture_engine::doctor::{Check, Status};
use capture_task::printable;
use textwrap::{Options, WordSplitter, fill};

use crate::diagnosis::{Diagnosis, Way, reason};

/// What lines are shown with.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// By escape sequences of terminals.
    pub color: bool,
    /// Columns of the terminal, where there is one.
    pub width: Option<usize>,
    /// Also what is as it should be, in full.
    pub verbose: bool,
}

/// All of it, for a file.
pub fn plain(diagnosis: &Diagnosis) -> String {
    let style = Style {
        color: false,
        width: None,
        verbose: true,
    };
    style.text(diagnosis)
}

impl Style {
    /// The text, for people.
    pub fn text(self, diagnosis: &Diagnosis) -> String {
        let ways = &diagnosis.ways;
        let mut text = self.way("you", &ways.you) + &self.way("daemon", &ways.daemon);
        text.push('\n');
        let all = || diagnosis.checks.iter();
        // Why you cannot is said above.
        let is_said = |check: &Check| !self.verbose && reason(check) == ways.you.found;
        for status in [Status::Fail, Status::Warn] {
            let those = all().filter(|check| check.status == status && !is_said(check));
            those.for_each(|check| text.push_str(&self.check(check)));
        }
        let fine = all().filter(|check| check.status == Status::Ok);
        if self.verbose {
            fine.for_each(|check| text.push_str(&self.check(check)));
            return text;
        }
        let names: Vec<_> = fine
            .map(|check| match check.name.as_str() {
                "kernel" => format!("kernel {}", check.found),
                name => name.to_owned(),
            })
            .collect();
        if !names.is_empty() {
            let line = format!(
                "{}  {}",
                self.word(Status::Ok),
                printable(&names.join(", "))
            );
            text.push_str(&self.wrapped(&line, 6));
        }
        text
    }

    /// `you      no: …`, with what to do below.
    fn way(self, name: &str, way: &Way) -> String {
        let Way {
            who,
            can_capture,
            found,
            remedy,
        } = way;
        let (word, code) = match can_capture {
            true => ("yes", "32"),
            false => ("no", "31"),
        };
        let word = self.colored(word, code);
        // Of the daemon's they are another program's words.
        let found = printable(found);
        let where_ = match (name, can_capture) {
            ("daemon", true) => format!("{word}, at {who}: {found}"),
            ("daemon", false) => format!("{word}: {found}"),
            _ => format!("{word}, as {who}: {found}"),
        };
        let mut text = self.wrapped(&format!("{name:<9}{where_}"), 9);
        if let Some(remedy) = remedy.as_ref().filter(|_| !can_capture) {
            text.push_str(&self.wrapped(&format!("         → {remedy}"), 11));
        }
        text
    }

    fn check(self, check: &Check) -> String {
        let Check {
            name,
            status,
            found,
            meaning,
            remedy,
        } = check;
        // Of what the verifier says only those who ask want more.
        let first = found.lines().next().unwrap_or_default();
        let found = if self.verbose { found } else { first };
        // Interfaces are named by whoever made them.
        let name = printable(name);
        let lines: Vec<_> = found.lines().map(printable).collect();
        let found = lines.join("\n");
        let line = format!("{}  {name}: {found}; {meaning}", self.word(*status));
        let mut text = match self.verbose && found.contains('\n') {
            true => format!("{line}\n"),
            false => self.wrapped(&line, 6),
        };
        if let Some(remedy) = remedy {
            text.push_str(&self.wrapped(&format!("      → {remedy}"), 8));
        }
        text
    }

    fn word(self, status: Status) -> String {
        let (word, code) = match status {
            Status::Ok => ("ok  ", "32"),
            Status::Warn => ("warn", "33"),
            Status::Fail => ("FAIL", "31"),
        };
        self.colored(word, code)
    }

    fn colored(self, word: &str, code: &str) -> String {
        match self.color {
            true => format!("\x1b[{code}m{word}\x1b[0m"),
            false => word.to_owned(),
        }
    }

    /// A line, or several within the terminal, broken between words alone.
    fn wrapped(self, line: &str, indent: usize) -> String {
        let Some(width) = self.width else {
            return format!("{line}\n");
        };
        let indent = " ".repeat(indent);
        let options = Options::new(width.max(20))
            .subsequent_indent(&indent)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation);
        format!("{}\n", fill(line, options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Ways;

    fn check(name: &str, status: Status, remedy: Option<&str>) -> Check {
        Check {
            name: name.to_owned(),
            status,
            found: "what was found".to_owned(),
            meaning: "and what that means".to_owned(),
            remedy: remedy.map(str::to_owned),
        }
    }

    #[test]
    fn names_of_others_do_nothing_on_a_terminal() {
        let named = |status| Check {
            found: "on \u{1b}[31mx\u{7}".to_owned(),
            ..check("XDP on \u{1b}[31mx\u{202e}", status, None)
        };
        let mut diagnosis = diagnosis();
        diagnosis.checks = [Status::Ok, Status::Warn, Status::Fail].map(named).into();
        for verbose in [false, true] {
            let style = Style {
                color: false,
                width: Some(80),
                verbose,
            };
            let text = style.text(&diagnosis);
            assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
        }
    }

    fn diagnosis() -> Diagnosis {
        Diagnosis {
            can_capture: true,
            ways: Ways {
                you: Way {
                    who: "alice".to_owned(),
                    can_capture: false,
                    found: "privileges: missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON".to_owned(),
                    remedy: Some("run with sudo, or grant them once: sudo setcap cap_bpf,cap_net_admin,cap_perfmon+ep '/usr/bin/capture-agent'".to_owned()),
                },
                daemon: Way {
                    who: "/run/capture-agent/api.sock".to_owned(),
                    can_capture: true,
                    found: "captured a packet".to_owned(),
                    remedy: None,
                },
            },
            checks: vec![
                check("kernel", Status::Ok, None),
                check("TCX", Status::Ok, None),
                check("BPF JIT", Status::Warn, Some("switch it on")),
                check("hooks", Status::Fail, Some("run with sudo")),
                Check {
                    found: "missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON".to_owned(),
                    ..check("privileges", Status::Fail, Some("sudo"))
                },
            ],
        }
    }

    #[test]
    fn failures_come_first_and_what_is_fine_is_one_line() {
        let style = Style {
            color: false,
            width: None,
            verbose: false,
        };
        assert_eq!(
            style.text(&diagnosis()),
            "you      no, as alice: privileges: missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON\n\
             \x20        → run with sudo, or grant them once: sudo setcap cap_bpf,cap_net_admin,cap_perfmon+ep \
             '/usr/bin/capture-agent'\n\
             daemon   yes, at /run/capture-agent/api.sock: captured a packet\n\
             \n\
             FAIL  hooks: what was found; and what that means\n      → run with sudo\n\
             warn  BPF JIT: what was found; and what that means\n      → switch it on\n\
             ok    kernel what was found, TCX\n"
        );
        let verbose = Style {
            verbose: true,
            ..style
        };
        let told = verbose.text(&diagnosis());
        assert!(
            told.ends_with("\nok    TCX: what was found; and what that means\n"),
            "{told}"
        );
    }

    #[test]
    fn lines_fit_and_words_stay_whole() {
        let wide = Style {
            color: false,
            width: None,
            verbose: true,
        };
        let narrow = Style {
            width: Some(80),
            ..wide
        };
        let (wide, narrow) = (wide.text(&diagnosis()), narrow.text(&diagnosis()));
        let words = |text: &str| {
            let words = text.split_whitespace().map(str::to_owned);
            words.collect::<Vec<_>>()
        };
        assert_eq!(words(&wide), words(&narrow));
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 80),
            "{narrow}"
        );
    }

    #[test]
    fn without_color_there_are_no_escapes() {
        let style = Style {
            color: false,
            width: Some(80),
            verbose: true,
        };
        assert!(!style.text(&diagnosis()).contains('\x1b'));
        let style = Style {
            color: true,
            ..style
        };
        assert!(style.text(&diagnosis()).contains('\x1b'));
    }
}
