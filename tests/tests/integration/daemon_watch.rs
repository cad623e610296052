//! `task watch` on a terminal, as somebody in front of it sees it: one line that is drawn anew in its place, and
//! nothing of it left in the end, whichever end that is.

use std::{
    fs::File,
    io::Read as _,
    process::{Child, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    agent::binary,
    daemon::{self, Daemon, UNLIMITED},
    eventually,
    netns::{HOST_IF, Lab},
    terminal::PseudoTerminal,
    traffic,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

/// Wide enough for every line of the end, and for the line of figures.
const WIDE: u16 = 160;

/// `task watch` with a terminal of its own.
struct Watching {
    child: Child,
    written: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
    columns: u16,
}

/// Begins to watch a task, with variables besides.
fn watch(daemon: &Daemon, task: &str, columns: u16, variables: &[(&str, &str)]) -> Watching {
    let terminal = PseudoTerminal::with_size(24, columns);
    let other = terminal.slave.try_clone().expect("a second descriptor");
    let mut command = std::process::Command::new(binary());
    command
        .args(["task", "watch", task, "--socket"])
        .arg(daemon.socket())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::from(terminal.slave))
        .stderr(Stdio::from(other));
    let child = command.spawn().expect("it starts");
    // The command holds the other end of the terminal until it is dropped.
    drop(command);
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    let mut master = File::from(terminal.master);
    let reader = thread::spawn(move || {
        let mut bytes = [0; 4096];
        // A terminal whose last writer has gone gives an error, not an end.
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            sink.lock()
                .expect("nobody panics")
                .extend_from_slice(&bytes[..count]);
        }
    });
    Watching {
        child,
        written,
        reader,
        columns,
    }
}

impl Watching {
    fn written(&self) -> String {
        let written = self.written.lock().expect("nobody panics");
        String::from_utf8_lossy(&written).into_owned()
    }

    fn lines(&self) -> Vec<String> {
        screen(&self.written(), self.columns)
    }

    /// Waits until the last line on the screen has these words.
    #[track_caller]
    fn last_line_has(&self, words: &str) {
        let has = || self.lines().last().is_some_and(|line| line.contains(words));
        assert!(eventually(TIMEOUT, has), "{words}: {:?}", self.lines());
    }

    /// Waits for its end, and gives what is on the screen then, and all that was written.
    fn end(self) -> (ExitStatus, Vec<String>, String) {
        self.end_within(TIMEOUT)
    }

    fn end_within(mut self, patience: Duration) -> (ExitStatus, Vec<String>, String) {
        let mut status = None;
        let ended = || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        };
        assert!(eventually(patience, ended), "it does not end");
        self.reader.join().expect("the reader ends");
        let written = self.written.lock().expect("nobody panics");
        let written = String::from_utf8_lossy(&written).into_owned();
        (
            status.expect("it has ended"),
            screen(&written, self.columns),
            written,
        )
    }
}

/// What is on the screen of a terminal that got this: lines without colour. It knows what the agent may
/// use and no more, and a line that would be broken in two is nothing to be drawn anew.
#[track_caller]
fn screen(written: &str, columns: u16) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = 0;
    let mut rest = written;
    while let Some(next) = rest.chars().next() {
        let mut len = next.len_utf8();
        let line = lines.last_mut().expect("one at least");
        match next {
            '\r' => column = 0,
            '\n' => {
                lines.push(String::new());
                column = 0;
            }
            '\x1b' if rest.starts_with("\x1b[K") => {
                line.truncate(column);
                len = 3;
            }
            '\x1b' => {
                let colour = rest
                    .strip_prefix("\x1b[")
                    .and_then(|rest| rest.split_once('m'));
                let colour = colour.map(|(colour, _)| colour);
                match colour.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit())) {
                    Some(colour) => len = colour.len() + 3,
                    // Not there in whole yet.
                    None if rest.len() < 6 => break,
                    None => panic!("{rest:?} in {written:?}"),
                }
            }
            ' '..='~' => {
                // Over what stands there.
                line.replace_range(column..line.len().min(column + 1), rest[..1].as_ref());
                column += 1;
                assert!(line.len() < usize::from(columns), "too wide: {line:?}");
            }
            other => panic!("{other:?} in {written:?}"),
        }
        rest = &rest[len..];
    }
    if lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

fn task(name: &str) -> serde_json::Value {
    json!({"name": name, "interfaces": [HOST_IF], "protocol": "udp", "duration": "10m"})
}

#[test]
fn figures_are_drawn_in_one_place_and_gone_when_the_task_ends() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let mut limited = task("web");
    limited["max_packets"] = json!(30);
    daemon.run(limited);
    let watching = watch(&daemon, "web", WIDE, &[]);
    traffic::send_to_host(&lab, 0..20, 200);
    watching.last_line_has(" of 10m  20 packets  4.0 kB  ");
    // Figures come every second, and each time the screen has as many lines as before.
    let drawn = || watching.written().matches(" of 10m ").count();
    let before = drawn();
    assert!(eventually(TIMEOUT, || drawn() >= before + 3));
    watching.last_line_has(" of 10m  20 packets  ");
    let lines = watching.lines();
    assert_eq!(
        (lines.len(), lines[0].as_str()),
        (2, "running"),
        "{lines:?}"
    );
    traffic::send_to_host(&lab, 0..20, 200);
    let (status, lines, written) = watching.end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("packets  ")),
        "{lines:?}"
    );
    assert_eq!(lines[0], "running", "{lines:?}");
    for words in [
        "completed: packet limit reached",
        "captured    30",
        "file 0 ",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(words)),
            "{words}: {lines:?}"
        );
    }
    assert!(!written.contains("\x1b[3"), "nothing was lost: {written:?}");
    daemon.stop();
}

/// A line that is as wide as the terminal would go on in the next one, and stay there.
#[test]
fn figures_fit_a_narrow_terminal() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    daemon.run(task("web"));
    let watching = watch(&daemon, "web", 20, &[]);
    traffic::send_to_host(&lab, 0..20, 200);
    watching.last_line_has(" of 10m  20 p");
    let drawn = || watching.written().matches(" of 10m ").count();
    assert!(eventually(TIMEOUT, || drawn() >= 3));
    watching.last_line_has(" of 10m  20 p");
    assert_eq!(watching.lines().len(), 2);
    daemon.kill();
    // What is said then need not fit.
    let wide = Watching {
        columns: 500,
        ..watching
    };
    wide.last_line_has("the daemon is gone");
    kill(Pid::from_raw(wide.child.id() as i32), Signal::SIGINT).expect("it runs");
    wide.end();
}

/// Also where the end is none of the task: Ctrl-C, and a daemon that goes away.
#[test]
fn nothing_of_the_figures_is_left_in_front_of_what_is_said_last() {
    let lab = Lab::new();
    let daemon = daemon::start(&lab.host);
    let id = daemon.run(task("web"));
    let first = watch(&daemon, "web", WIDE, &[]);
    let second = watch(&daemon, "web", WIDE, &[]);
    for watching in [&first, &second] {
        watching.last_line_has(" of 10m  0 packets");
    }
    let pid = Pid::from_raw(first.child.id() as i32);
    kill(pid, Signal::SIGINT).expect("it runs");
    let (status, lines, _) = first.end();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    let last = format!("the task goes on; `capture-agent task stop {id}` ends it");
    assert_eq!(lines, ["running".to_owned(), last]);

    // What it says then is longer than this terminal is wide.
    let second = Watching {
        columns: 500,
        ..second
    };
    daemon.kill();
    // It waits a minute for another one.
    let (status, lines, _) = second.end_within(Duration::from_secs(60) + TIMEOUT);
    assert_eq!(status.code(), Some(5), "{lines:?}");
    assert_eq!(lines[0], "running");
    assert!(
        lines[1].starts_with("the daemon is gone; waiting"),
        "{lines:?}"
    );
    for line in &lines[2..] {
        assert!(line.starts_with("capture-agent: "), "{lines:?}");
    }
}

#[test]
fn losses_are_red_unless_nobody_wants_colours() {
    let lab = Lab::new();
    let home = daemon::home(&format!("{UNLIMITED}\n[capture]\nring_size = \"64KiB\""));
    let daemon = daemon::start_in(&lab.host, &home);
    let id = daemon.run(task("web"));
    let coloured = watch(&daemon, "web", WIDE, &[]);
    let plain = watch(&daemon, "web", WIDE, &[("NO_COLOR", "1")]);
    let dumb = watch(&daemon, "web", WIDE, &[("TERM", "dumb")]);
    for watching in [&coloured, &plain, &dumb] {
        watching.last_line_has(" 0 lost");
    }
    // Held up, the daemon loses what its rings have no room for.
    daemon.signal(Signal::SIGSTOP);
    traffic::send_to_host(&lab, 0..20_000, 200);
    daemon.signal(Signal::SIGCONT);
    let lost = daemon.wait(&id, "losses", |task| {
        task["counters"]["dropped"]["ring"].as_u64() > Some(0)
    });
    assert_eq!(lost["state"], "running");
    let red = |watching: &Watching| watching.written().contains("\x1b[31m");
    assert!(
        eventually(TIMEOUT, || red(&coloured)),
        "{}",
        coloured.written()
    );
    let is_told = |watching: &Watching| {
        let lines = watching.lines();
        lines
            .last()
            .is_some_and(|line| line.contains(" lost") && !line.contains(" 0 lost"))
    };
    for watching in [&coloured, &plain, &dumb] {
        assert!(
            eventually(TIMEOUT, || is_told(watching)),
            "{}",
            watching.written()
        );
    }
    daemon.stop_task(&id);
    let (_, lines, written) = coloured.end();
    let is_end = |line: &String| line.starts_with("completed: ");
    assert!(lines.iter().any(is_end), "{lines:?}");
    assert!(written.contains(" lost\x1b[0m"), "{written:?}");
    let (_, _, written) = plain.end();
    assert!(!written.contains("\x1b[3"), "{written:?}");
    // A terminal that can do nothing gets lines and no sequences at all.
    let (_, lines, written) = dumb.end();
    assert!(!written.contains('\x1b'), "{written:?}");
    assert!(
        lines
            .iter()
            .filter(|line| line.contains(" of 10m "))
            .count()
            > 1
    );
    daemon.stop();
}
