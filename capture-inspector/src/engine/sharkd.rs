//! Wireshark's view of one packet, by its program `sharkd`: one process for each answer, with a private capture in memory
//! that ends with the packet. It reads whole packets only, as it gives no answer about a file that ends within one, and
//! no second file, as it loses memory and a descriptor with each.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    os::{fd::AsRawFd as _, unix::net::UnixStream},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use capture_task::printable;
use nix::sys::memfd::{MFdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    error::Error,
    launch::{Confined, Launch, Limits, confined, shown, start_with},
};

const PROGRAM: &str = "sharkd";
const PACKAGE: &str = "wireshark-common";

/// Where it is looked for.
const DIRECTORIES: &str = "/usr/bin:/usr/local/bin";

/// Most bytes of an answer.
const MOST_ANSWER: u64 = 16 << 20;

/// Most nodes of a tree, and most characters of a text in it.
const MOST_NODES: usize = 20_000;
const MOST_TEXT: usize = 1024;

/// Its bounds: it takes 150 MiB for itself.
const LIMITS: Limits = Limits {
    memory: 1 << 30,
    file: 0,
    processor: 10,
    time: Duration::from_secs(10),
};

/// A node of the tree that Wireshark shows, as answers about packets have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WiresharkNode {
    /// Wireshark's name; empty where the node has none.
    pub name: String,
    /// Its line.
    pub label: String,
    /// Nothing: the line has it.
    pub value: Option<String>,
    /// A display filter of Wireshark for packets that have this value.
    pub filter: Option<String>,
    /// Where it begins in the packet.
    pub offset: u32,
    /// Bytes of the packet that it lies in; 0 for what was put together from several.
    pub length: u32,
    /// The nodes in it.
    pub children: Vec<Self>,
}

/// Wireshark, where it is installed.
#[derive(Clone, Debug)]
pub struct Wireshark {
    path: PathBuf,
    version: String,
    time: Duration,
}

/// As it comes.
#[derive(Debug, Deserialize)]
struct RawNode {
    #[serde(default)]
    l: String,
    /// Offset and length.
    h: Option<(u32, u32)>,
    f: Option<String>,
    /// Which bytes: 0 are those of the packet.
    #[serde(default)]
    ds: u32,
    /// The number of another packet.
    fnum: Option<u64>,
    #[serde(default)]
    n: Vec<Self>,
}

/// Its argument to speak over its standard input and output.
const SESSION: &str = "-";

/// Its argument to say its version.
const VERSION: &str = "--version";

impl Wireshark {
    /// The program of this machine; none where it is not installed. It is looked for until it is found.
    pub fn find() -> Option<&'static Self> {
        static FOUND: OnceLock<Wireshark> = OnceLock::new();
        if let Some(found) = FOUND.get() {
            return Some(found);
        }
        let found = Self::find_in(OsStr::new(DIRECTORIES))?;
        Some(FOUND.get_or_init(|| found))
    }

    /// The first one on a search path that says its version.
    pub(super) fn find_in(search: &OsStr) -> Option<Self> {
        let directories = std::env::split_paths(search);
        let mut paths = directories.map(|directory| directory.join(PROGRAM));
        let path = paths.find(|path| path.is_file())?;
        // `Sharkd (Wireshark) 4.0.17 (Git …).`
        let said = version(&path).ok()?;
        let mut words = said.split_whitespace();
        let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
        Some(Self {
            path,
            version: shown(version.trim_end_matches('.')),
            time: LIMITS.time,
        })
    }

    /// How it is named: `Wireshark 4.0.17`.
    pub fn name(&self) -> String {
        format!("Wireshark {}", self.version)
    }

    /// Why there is none.
    pub fn missing() -> String {
        Error::Missing {
            program: PROGRAM,
            package: PACKAGE,
        }
        .to_string()
    }

    #[cfg(test)]
    pub(super) fn within(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// What it says of the last packet of a capture. `numbers` are the numbers of its packets where they come from.
    /// Waits for it, but not for longer than 10 s.
    ///
    /// # Errors
    /// It cannot be started or confined, gives no answer in time, or one that makes no sense.
    pub fn tree(&self, capture: &[u8], numbers: &[u64]) -> Result<Vec<WiresharkNode>, Error> {
        let deadline = Instant::now() + self.time;
        let started = |error| Error::Start {
            program: PROGRAM,
            error,
        };
        let file = in_memory(capture).map_err(started)?;
        let launch = launch(&self.path, SESSION);
        let (socket, of_child) = UnixStream::pair().map_err(started)?;
        let (process, said) = start_with(&launch, of_child.into(), file.into()).map_err(started)?;
        if let Confined::Refused(why) = confined(said, deadline).map_err(started)? {
            return Err(Error::Unconfined {
                program: PROGRAM,
                why,
            });
        }
        let mut session = Session {
            socket: BufReader::new(socket),
            deadline,
            time: self.time,
        };
        // Its standard error is the file, open for reading only.
        session.ask("load", &json!({"file": "/proc/self/fd/2"}))?;
        let frame = numbers.len();
        let answer = session.ask("frame", &json!({"frame": frame, "proto": true}))?;
        drop(process);
        let tree: Vec<RawNode> = answer
            .get("tree")
            .and_then(|tree| Deserialize::deserialize(tree).ok())
            .ok_or_else(|| senseless("its answer has no tree"))?;
        let mut tidy = Tidy { numbers, nodes: 0 };
        Ok(tidy.nodes(tree))
    }
}

fn launch(program: &Path, argument: &str) -> Launch {
    Launch {
        program: program.to_owned(),
        arguments: vec![argument.to_owned()],
        read: Vec::new(),
        write: None,
        interactive: true,
        limits: LIMITS,
    }
}

/// Whether a launch, as JSON, is one of these.
pub(crate) fn is_wireshark(text: &str) -> bool {
    let Ok(asked) = serde_json::from_str::<Launch>(text) else {
        return false;
    };
    let mut directories = std::env::split_paths(DIRECTORIES);
    let is_here = directories.any(|directory| directory.join(PROGRAM) == asked.program);
    let mut own = [SESSION, VERSION]
        .map(|argument| launch(&asked.program, argument))
        .into_iter();
    is_here && own.any(|own| own == asked)
}

/// What it says about itself.
fn version(program: &Path) -> io::Result<String> {
    let deadline = Instant::now() + LIMITS.time;
    let (socket, of_child) = UnixStream::pair()?;
    let null = File::open("/dev/null")?;
    let (_process, said) = start_with(&launch(program, VERSION), of_child.into(), null.into())?;
    if let Confined::Refused(why) = confined(said, deadline)? {
        return Err(io::Error::other(why));
    }
    socket.set_read_timeout(Some(LIMITS.time))?;
    let mut text = String::new();
    socket.take(64 << 10).read_to_string(&mut text)?;
    Ok(text)
}

/// A file in memory with these bytes, open for reading.
fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"capture", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    // Opened anew: what it says on its standard error is not written into it.
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

fn senseless(how: &str) -> Error {
    Error::Ended {
        program: PROGRAM,
        how: format!("gave no valid answer: {how}"),
    }
}

/// Questions and answers, a line of JSON each.
struct Session {
    socket: BufReader<UnixStream>,
    deadline: Instant,
    time: Duration,
}

impl Session {
    fn ask(&mut self, method: &str, parameters: &Value) -> Result<Value, Error> {
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let line = self
            .exchange(&question)
            .map_err(|error| match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Time {
                    program: PROGRAM,
                    after: self.time,
                },
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe => Error::Ended {
                    program: PROGRAM,
                    how: "ended before its answer".to_owned(),
                },
                _ => senseless(&error.to_string()),
            })?;
        let mut answer: Value =
            serde_json::from_slice(&line).map_err(|error| senseless(&error.to_string()))?;
        match answer.get_mut("result") {
            Some(result) => Ok(result.take()),
            None => {
                let why = answer["error"]["message"].as_str().unwrap_or("no result");
                Err(senseless(&shown(why)))
            }
        }
    }

    fn exchange(&mut self, question: &Value) -> io::Result<Vec<u8>> {
        let text = format!("{question}\n");
        self.wait()?;
        self.socket.get_ref().write_all(text.as_bytes())?;
        let mut line = Vec::new();
        // Each read waits no longer than what is left; a line that comes in drops is bounded by the loop.
        while line.last() != Some(&b'\n') {
            self.wait()?;
            let left = MOST_ANSWER - line.len() as u64;
            let part = self.socket.fill_buf()?;
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let end = part.iter().position(|byte| *byte == b'\n');
            let len = end.map_or(part.len(), |end| end + 1);
            if len as u64 > left {
                return Err(io::Error::other("it is too long"));
            }
            line.extend_from_slice(&part[..len]);
            self.socket.consume(len);
            // It ends its answers by an empty line.
            if line == b"\n" {
                line.clear();
            }
        }
        Ok(line)
    }

    /// Lets reads and writes wait for what is left of the time.
    fn wait(&self) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let socket = self.socket.get_ref();
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))
    }
}

/// Fields that are about the private capture, and not about the one that the packet is of.
const ITS_OWN: &[&str] = &[
    "frame.offset_shift",
    "frame.time_delta",
    "frame.time_delta_displayed",
    "frame.time_relative",
    "frame.marked",
    "frame.ignored",
    "frame.file_off",
    "frame.interface_id",
];

/// Makes the tree one of the capture that the packet is of.
struct Tidy<'a> {
    numbers: &'a [u64],
    nodes: usize,
}

impl Tidy<'_> {
    fn nodes(&mut self, raw: Vec<RawNode>) -> Vec<WiresharkNode> {
        let nodes = raw.into_iter();
        nodes.filter_map(|node| self.node(node)).collect()
    }

    fn node(&mut self, raw: RawNode) -> Option<WiresharkNode> {
        self.nodes += 1;
        let name = raw.f.as_deref().unwrap_or_default();
        let name = name.split_whitespace().next().unwrap_or_default();
        // Numbers of streams count those of the private capture.
        let is_its_own = ITS_OWN.contains(&name) || name.ends_with(".stream");
        if self.nodes > MOST_NODES || is_its_own {
            return None;
        }
        let name = name.to_owned();
        let (mut label, mut filter) = (raw.l, raw.f);
        let number = match name.as_str() {
            "frame" | "frame.number" => Some(self.numbers.len() as u64),
            _ => raw.fnum,
        };
        if let Some(number) = number {
            let real = usize::try_from(number).ok().and_then(|number| {
                let place = number.checked_sub(1)?;
                self.numbers.get(place)
            });
            label = renumbered(&label, number, *real?);
            filter = filter.map(|filter| renumbered(&filter, number, real.copied().unwrap_or(0)));
        }
        let (offset, length) = match raw.ds {
            0 => raw.h.unwrap_or_default(),
            _ => (0, 0),
        };
        Some(WiresharkNode {
            name: text(&name),
            label: text(&label),
            value: None,
            filter: filter.map(|filter| text(&filter)),
            offset,
            length,
            children: self.nodes(raw.n),
        })
    }
}

/// A text with the first number that is this one made another.
fn renumbered(text: &str, number: u64, real: u64) -> String {
    let digits = number.to_string();
    let is_digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_digit());
    let places = text.match_indices(&digits);
    let mut whole = places.filter(|(place, _)| {
        let before = text[..*place].chars().next_back();
        let behind = text[place + digits.len()..].chars().next();
        !is_digit(before) && !is_digit(behind)
    });
    match whole.next() {
        Some((place, _)) => {
            let (before, rest) = text.split_at(place);
            format!("{before}{real}{}", &rest[digits.len()..])
        }
        None => text.to_owned(),
    }
}

/// What can be shown of a text.
fn text(text: &str) -> String {
    let short: String = text.chars().take(MOST_TEXT).collect();
    printable(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_packets_are_those_of_the_capture() {
        for (label, number, real, wanted) in [
            (
                "Frame 3: 106 bytes on wire",
                3,
                1003,
                "Frame 1003: 106 bytes on wire",
            ),
            ("[Request in: 12]", 12, 7, "[Request in: 7]"),
            ("123 and 12", 12, 5, "123 and 5"),
            ("none", 1, 2, "none"),
        ] {
            assert_eq!(renumbered(label, number, real), wanted);
        }
    }

    #[test]
    fn what_is_about_the_private_capture_is_left_out() {
        let raw: Vec<RawNode> = serde_json::from_str(
            r#"[{"l":"Frame 2: 60 bytes","f":"frame","n":[
                    {"l":"Frame Number: 2","f":"frame.number == 2"},
                    {"l":"Time delta","f":"frame.time_delta == 0.1"}]},
                {"l":"TCP","h":[34,20],"f":"tcp","n":[
                    {"l":"[Stream index: 0]","f":"tcp.stream == 0"},
                    {"l":"[Request in: 1]","f":"http.request_in == 1","fnum":1},
                    {"l":"[Response in: 9]","f":"http.response_in == 9","fnum":9},
                    {"l":"data\u202e","h":[3,4],"ds":1}]}]"#,
        )
        .expect("JSON");
        let mut tidy = Tidy {
            numbers: &[41, 77],
            nodes: 0,
        };
        let tree = tidy.nodes(raw);
        assert_eq!(tree[0].label, "Frame 77: 60 bytes");
        let labels = |node: &WiresharkNode| -> Vec<String> {
            node.children
                .iter()
                .map(|node| node.label.clone())
                .collect()
        };
        assert_eq!(labels(&tree[0]), ["Frame Number: 77"]);
        assert_eq!(labels(&tree[1]), ["[Request in: 41]", "data\\u{202e}"]);
        assert_eq!(
            tree[1].children[0].filter.as_deref(),
            Some("http.request_in == 41")
        );
        assert_eq!(
            (tree[1].offset, tree[1].length, tree[1].children[1].length),
            (34, 20, 0)
        );
        // Very many nodes are not all shown.
        let raw = (0..MOST_NODES + 5).map(|_| RawNode {
            l: String::new(),
            h: None,
            f: None,
            ds: 0,
            fnum: None,
            n: Vec::new(),
        });
        let mut tidy = Tidy {
            numbers: &[1],
            nodes: 0,
        };
        assert_eq!(tidy.nodes(raw.collect()).len(), MOST_NODES);
    }
}
