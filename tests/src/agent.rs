//! The agent under test: started in a namespace, waited for, ended, and held to its promises. At
//! every end the figures must add up, no hook may be left, and no unfinished file.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    TIMEOUT, accounting,
    counters::Figures,
    eventually,
    netns::Netns,
    readers::{self, Packet},
    rights::Rights,
    traffic,
};

/// A program with the verifier's work before it: loading may take a while on a busy machine.
const READY: Duration = Duration::from_secs(20);
/// An end in order: detach, drain, close, sync.
const END: Duration = Duration::from_secs(20);

/// The binary under test.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("CAPTURE_AGENT_BIN").unwrap_or_else(|| {
        panic!("CAPTURE_AGENT_BIN names no binary under test; run `cargo xtask test`")
    });
    let path = PathBuf::from(path);
    assert!(
        path.is_absolute(),
        "CAPTURE_AGENT_BIN={} is not an absolute path",
        path.display()
    );
    path
}

/// An agent that runs.
#[derive(Debug)]
pub struct Running<'a> {
    child: Option<Child>,
    namespace: &'a Netns,
    directory: Arc<TempDir>,
    arguments: String,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Arc<Mutex<String>>,
    stderr_reader: Option<JoinHandle<()>>,
    /// What others left in the working directory.
    found: Vec<String>,
}

/// An agent that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
    /// The JSON summary, where there is one.
    pub summary: Option<Value>,
    /// When it had ended; what the fixture asks of it then takes its time.
    pub at: Instant,
    /// Its working directory.
    pub directory: Arc<TempDir>,
    arguments: String,
    /// What lay there before.
    found: Vec<String>,
}

/// Starts `capture-agent run -o json` with these arguments in a new working directory, and waits
/// until it captures.
pub fn capture<'a>(namespace: &'a Netns, arguments: &[&str]) -> Running<'a> {
    let running = start(namespace, arguments);
    running.wait_ready();
    running
}

/// The same, without waiting.
pub fn start<'a>(namespace: &'a Netns, arguments: &[&str]) -> Running<'a> {
    start_in(
        namespace,
        Arc::new(tempfile::tempdir().expect("a directory")),
        arguments,
    )
}

/// The same in a given working directory.
pub fn start_in<'a>(
    namespace: &'a Netns,
    directory: Arc<TempDir>,
    arguments: &[&str],
) -> Running<'a> {
    start_as(namespace, directory, "json", arguments)
}

/// The same with the summary in a given form, `json` or `table`.
pub fn start_as<'a>(
    namespace: &'a Netns,
    directory: Arc<TempDir>,
    form: &str,
    arguments: &[&str],
) -> Running<'a> {
    let mut command = Rights::from_env().command(namespace);
    command.args(["run", "-o", form]).args(arguments);
    spawn(namespace, directory, command)
}

/// The same with a closing table in the place of the JSON summary.
pub fn start_with_table<'a>(namespace: &'a Netns, arguments: &[&str]) -> Running<'a> {
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut command = Rights::from_env().command(namespace);
    command.arg("run").args(arguments);
    spawn(namespace, directory, command)
}

/// Starts a command that ends in the agent; standard output is read to its end.
pub fn spawn<'a>(namespace: &'a Netns, directory: Arc<TempDir>, command: Command) -> Running<'a> {
    let mut running = spawn_unread(namespace, directory, command);
    let stdout = running.child.as_mut().and_then(|child| child.stdout.take());
    running.stdout = stdout.map(read_all);
    running
}

/// Starts `capture-agent run -o json -w -` with more arguments, and gives its standard output to be read.
pub fn piped<'a>(namespace: &'a Netns, arguments: &[&str]) -> (Running<'a>, ChildStdout) {
    let directory = Arc::new(tempfile::tempdir().expect("a directory"));
    let mut command = Rights::from_env().command(namespace);
    command.args(["run", "-o", "json", "-w", "-"]);
    command.args(arguments);
    let mut running = spawn_unread(namespace, directory, command);
    let stdout = running.child.as_mut().and_then(|child| child.stdout.take());
    (running, stdout.expect("stdout is piped"))
}

fn spawn_unread<'a>(
    namespace: &'a Netns,
    directory: Arc<TempDir>,
    mut command: Command,
) -> Running<'a> {
    {
        let mut agents = namespace
            .agents
            .lock()
            .expect("no test panics with the lock");
        if agents.0 == 0 {
            agents.1 = namespace.attachments();
        }
        agents.0 += 1;
    }
    let found = names_in(directory.path());
    Rights::from_env().give(directory.path());
    command.current_dir(directory.path()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // Behind `netns exec NAME`.
    let arguments = format!("{:?}", command.get_args().skip(3).collect::<Vec<_>>());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stderr, stderr_reader) = lines_of(child.stderr.take().expect("stderr is piped"));
    Running {
        child: Some(child),
        namespace,
        directory,
        arguments,
        stdout: None,
        stderr,
        stderr_reader: Some(stderr_reader),
        found,
    }
}

/// What a program writes, as it writes it, and the thread that reads it to its end.
pub fn lines_of(from: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    let mut lines = BufReader::new(from);
    let reader = thread::spawn(move || {
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|count| count > 0)
        {
            sink.lock()
                .expect("nobody panics")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    (text, reader)
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        // A pipe whose other end was killed ends as well.
        let _ = from.read_to_end(&mut all);
        all
    })
}

impl Running<'_> {
    /// Waits for the line `capturing on`.
    pub fn wait_ready(&self) {
        let mut gone = false;
        let ready = eventually(READY, || {
            // Its end of the pipe is closed when it has ended.
            gone = self
                .stderr_reader
                .as_ref()
                .is_none_or(JoinHandle::is_finished);
            gone || self.stderr_so_far().contains("capturing on ")
        });
        let stderr = self.stderr_so_far();
        let captures = ready && stderr.contains("capturing on ");
        let how = if gone { "it ended" } else { "not yet" };
        assert!(
            captures,
            "{}: not capturing, {how}; stderr:\n{stderr}",
            self.arguments
        );
    }

    /// Standard error until now.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.lock().expect("nobody panics").clone()
    }

    /// Its working directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).expect("the agent runs");
    }

    /// Asks for its figures (SIGUSR1) again and again, until there are some by which `check` holds of standard
    /// error; `false` where that takes too long.
    pub fn asks_until(&self, mut check: impl FnMut(&str) -> bool) -> bool {
        eventually(TIMEOUT, || {
            let before = self.stderr_so_far().len();
            self.signal(Signal::SIGUSR1);
            eventually(TIMEOUT, || self.stderr_so_far().len() > before);
            check(&self.stderr_so_far())
        })
    }

    /// Waits until this many packets have matched, and each is in the file or counted as lost: the rings and the
    /// queue are empty.
    pub fn wait_drained(&self, matched: u64) {
        // `… matched 20,500, captured 20,000 (6.2 MB), lost 500 OF 20,500, …`.
        let number = |line: &str, name: &str| -> Option<u64> {
            let (_, rest) = line.split_once(name)?;
            let number = rest.split(|other: char| !other.is_ascii_digit() && other != ',');
            number
                .map(|digits| digits.replace(',', ""))
                .next()?
                .parse()
                .ok()
        };
        let is_drained = self.asks_until(|stderr| {
            let line = stderr.lines().last().unwrap_or_default();
            let figures = [" matched ", " captured ", " lost "].map(|name| number(line, name));
            matches!(figures, [Some(all), Some(captured), Some(lost)]
                if all == matched && captured + lost == matched)
        });
        assert!(is_drained, "{matched}: {}", self.stderr_so_far());
    }

    /// Ends it by SIGTERM, when it has had the time to see what was sent.
    pub fn stop(self) -> Ended {
        traffic::settle();
        self.signal(Signal::SIGTERM);
        self.wait(END)
    }

    /// Waits for its end.
    pub fn wait(mut self, limit: Duration) -> Ended {
        let mut child = self.child.take().expect("it runs");
        let mut status = None;
        let in_time = eventually(limit, || {
            status = child.try_wait().expect("the agent is our child");
            status.is_some()
        });
        let at = Instant::now();
        if !in_time {
            let _ = child.kill();
            let _ = child.wait();
        }
        let stdout = self.stdout.take();
        let stdout = stdout.map_or_else(Vec::new, |reader| reader.join().expect("the reader ends"));
        self.stderr_reader
            .take()
            .expect("read once")
            .join()
            .expect("the reader ends");
        let stderr = self.stderr_so_far();
        let status = status.unwrap_or_else(|| {
            panic!(
                "{}: still running after {limit:?}; stderr:\n{stderr}",
                self.arguments
            )
        });
        let summary = find_summary(&stdout).or_else(|| find_summary(stderr.as_bytes()));
        let ended = Ended {
            status,
            stdout,
            stderr,
            summary,
            at,
            directory: Arc::clone(&self.directory),
            arguments: self.arguments.clone(),
            found: std::mem::take(&mut self.found),
        };
        self.leave_namespace(&ended);
        ended.assert_invariants();
        ended
    }

    /// When the last agent has left, the namespace is as it was before the first.
    fn leave_namespace(&self, ended: &Ended) {
        let mut agents = self
            .namespace
            .agents
            .lock()
            .expect("no test panics with the lock");
        agents.0 -= 1;
        if agents.0 > 0 {
            return;
        }
        let mut left = Vec::new();
        let clean = eventually(Duration::from_secs(2), || {
            left = self.namespace.attachments();
            left == agents.1
        });
        let before = agents.1.clone();
        drop(agents);
        ended.check(
            clean,
            format!("still attached: {left:?}, before: {before:?}"),
        );
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        let _ = child.kill();
        let _ = child.wait();
        if thread::panicking() {
            eprintln!(
                "{}: stderr until now:\n{}",
                self.arguments,
                self.stderr_so_far()
            );
        }
        if let Ok(mut agents) = self.namespace.agents.lock() {
            agents.0 -= 1;
        }
    }
}

/// The last JSON object among the output.
fn find_summary(text: &[u8]) -> Option<Value> {
    // Packet bytes on standard output are no text, and hold no summary.
    let text = std::str::from_utf8(text).ok()?;
    let starts = text.match_indices('{').map(|(at, _)| at);
    starts
        .filter(|at| *at == 0 || text.as_bytes()[at - 1] == b'\n')
        .find_map(|at| {
            let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
            values
                .next()?
                .ok()
                .filter(|value| value.get("counters").or(value.get("tasks")).is_some())
        })
}

impl Ended {
    /// Panics with everything that is known of this run, unless it holds.
    pub fn check(&self, holds: bool, message: impl std::fmt::Display) {
        assert!(
            holds,
            "{message}\n{}: {}\nsummary: {}\nstderr:\n{}",
            self.arguments,
            self.status,
            self.summary.as_ref().unwrap_or(&Value::Null),
            self.stderr,
        );
    }

    fn assert_invariants(&self) {
        if self.status.signal().is_some() {
            return;
        }
        // One that could not be finished is said to be unfinished.
        let records = self.records();
        let files = records
            .iter()
            .filter_map(|record| record["files"].as_array());
        let unfinished: Vec<_> = files
            .flatten()
            .filter(|file| file["complete"] == false)
            .filter_map(|file| file["name"].as_str())
            .collect();
        for name in self.directory_names() {
            let is_new = !self.found.contains(&name);
            let is_left = name.ends_with(".part") && !unfinished.contains(&name.as_str());
            self.check(!(is_new && is_left), format_args!("{name} is left"));
        }
        if records.is_empty() && Figures::of_table(&self.stderr).is_none() {
            self.check(
                self.status.code() != Some(0),
                "ended well without a summary",
            );
        }
        accounting::check(self);
    }

    /// Whether it was started with this argument.
    pub(crate) fn argument(&self, name: &str) -> bool {
        self.arguments.contains(&format!("{name:?}"))
    }

    /// The figures of the only task, from the summary in whatever form.
    pub fn figures(&self) -> Figures {
        let record = self.records().first().and_then(Figures::of_record);
        let figures = record.or_else(|| Figures::of_table(&self.stderr));
        self.check(figures.is_some(), "no figures");
        figures.expect("checked above")
    }

    /// The packets of a file that must hold what the summary says was captured, and, where it ends with
    /// statistics, say the same itself.
    pub fn checked_packets(&self, file: &Path) -> Vec<Packet> {
        let figures = self.figures();
        let packets = readers::packets(file);
        readers::assert_ordered(&packets);
        self.check(
            figures.captured == packets.len() as u64,
            format_args!("{} packets in {}", packets.len(), file.display()),
        );
        let capinfos = readers::packet_count(file);
        self.check(
            capinfos == figures.captured,
            format_args!("capinfos counts {capinfos}"),
        );
        if file
            .extension()
            .is_some_and(|extension| extension == "pcapng")
            && let Some(statistics) = Figures::of_file(file)
        {
            self.check(
                statistics == figures,
                format_args!("the file says {statistics:?}"),
            );
        }
        packets
    }

    /// The record of each task: those of a `--tasks` run, or the only one.
    pub fn records(&self) -> Vec<Value> {
        match &self.summary {
            Some(summary) => match summary["tasks"].as_array() {
                Some(tasks) => tasks.clone(),
                None => vec![summary.clone()],
            },
            None => Vec::new(),
        }
    }

    fn number(&self, value: &Value, name: &str) -> u64 {
        self.check(
            value.is_u64(),
            format_args!("{name} is {value}, and no number"),
        );
        value.as_u64().expect("checked above")
    }

    /// Panics unless it ended with this exit code.
    pub fn expect_code(self, code: i32) -> Self {
        self.check(
            self.status.code() == Some(code),
            format_args!("exit code {code} expected"),
        );
        self
    }

    /// Panics unless it ended well, for this reason, and without a loss.
    pub fn expect_whole(self, stop_reason: &str) -> Self {
        let this = self.expect_code(0);
        let reason = this.field("stop_reason");
        this.check(
            reason == stop_reason,
            format_args!("stop reason {stop_reason} expected"),
        );
        this.check(this.field("state") == "completed", "completed expected");
        let words = match this.counter("undecided") {
            0 => "complete".to_owned(),
            undecided => format!("complete; {undecided} undecided"),
        };
        this.check(
            this.field("verdict") == words,
            format_args!("verdict {words} expected"),
        );
        this
    }

    /// Panics unless standard error says all of this.
    pub fn expect_stderr(self, words: &[&str]) -> Self {
        for word in words {
            self.check(
                self.stderr.contains(word),
                format_args!("no `{word}` on stderr"),
            );
        }
        self
    }

    /// The summary.
    pub fn summary(&self) -> &Value {
        self.check(self.summary.is_some(), "no JSON summary");
        self.summary.as_ref().expect("checked above")
    }

    /// A field of the summary that is text; empty where it is none.
    pub fn field(&self, name: &str) -> &str {
        self.summary()[name].as_str().unwrap_or_default()
    }

    /// A counter: `captured`, or `ring` and the other drops.
    pub fn counter(&self, name: &str) -> u64 {
        let counters = &self.summary()["counters"];
        let value = counters
            .get(name)
            .unwrap_or_else(|| &counters["dropped"][name]);
        self.number(value, name)
    }

    /// The finished files, in order, and nothing else may lie in the working directory.
    pub fn files(&self) -> Vec<PathBuf> {
        self.summary();
        let records = self.records();
        let files = records
            .iter()
            .filter_map(|record| record["files"].as_array());
        let mut names = Vec::new();
        for file in files.flatten() {
            let name = file["name"].as_str().unwrap_or_default().to_owned();
            let path = self.directory.path().join(&name);
            let size = fs::metadata(&path)
                .map(|meta| meta.len())
                .unwrap_or_default();
            self.check(
                file["complete"] == true,
                format_args!("{name} is not complete"),
            );
            self.check(
                file["size"] == size,
                format_args!("{name} has {size} bytes"),
            );
            names.push(path);
        }
        let present: BTreeSet<_> = self
            .directory_names()
            .iter()
            .map(|name| self.directory.path().join(name))
            .collect();
        let expected: BTreeSet<_> = names.iter().cloned().collect();
        self.check(
            present == expected,
            format_args!("the directory holds {present:?}"),
        );
        names
    }

    /// The only file.
    pub fn file(&self) -> PathBuf {
        let mut files = self.files();
        self.check(files.len() == 1, "one file expected");
        files.remove(0)
    }

    /// The packets of all files, in order of time, as many as the summary says.
    pub fn packets(&self) -> Vec<Packet> {
        let packets: Vec<_> = self
            .files()
            .iter()
            .flat_map(|file| readers::packets(file))
            .collect();
        readers::assert_ordered(&packets);
        let captured = self.counter("captured");
        let count = packets.len();
        self.check(
            captured == count as u64,
            format_args!("{count} packets in the files"),
        );
        packets
    }

    /// The packets of all files, which are the first of the numbered frames that were sent, none missing.
    pub fn gapless_packets(&self) -> Vec<Packet> {
        let packets = self.packets();
        let message = format_args!("frames are missing among {}", packets.len());
        self.check(readers::is_gapless(&packets), message);
        packets
    }

    /// What lies in the working directory.
    pub fn directory_names(&self) -> Vec<String> {
        names_in(self.directory.path())
    }
}

/// The names in a directory.
fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    entries
        .map(|entry| {
            entry
                .expect("it can be listed")
                .file_name()
                .to_string_lossy()
                .into()
        })
        .collect()
}
