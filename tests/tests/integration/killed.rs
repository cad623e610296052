//! Captures that are killed at any moment: under traffic, between two files, while closing, while starting
//! and recovering what the one before left. Whatever is then in the directory is a whole prefix of what was
//! sent, and tshark takes it without a word. `CAPTURE_TEST_KILLS` says how many are killed;
//! `CAPTURE_TEST_SEED` repeats or varies a run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use capture_tests::{
    TIMEOUT,
    agent::{self, Running, binary},
    count_from_env,
    netns::{HOST_IF, Lab, PEER_IF},
    output,
    random::Random,
    room::{QUEUE, QUEUED_FILES, ring_size},
    stream::Stream,
    traffic::{self, number_in},
};
use nix::sys::signal::Signal;
use tempfile::{TempDir, tempdir};

const KILLS: usize = 12;
/// Frames a second. What is sent within [`LONGEST`], and no more where the machine stands still, finds room in the rings
/// and in the queue of the output, so that nothing is lost but by the kill.
const RATES: [u32; 3] = [2000, 20_000, 100_000];
/// The longest traffic before a kill.
const LONGEST: Duration = Duration::from_millis(200);
/// Large enough that a part of the time goes into write(2), which a kill then cuts short.
const FRAME_LEN: usize = 1000;
/// What it takes in a file, its header included.
const RECORD_LEN: usize = FRAME_LEN + 64;

/// Captures of one kind, one after the other under the same name.
struct Series {
    options: &'static [&'static str],
    directory: Arc<TempDir>,
    /// The first files of a rotation are removed by it.
    is_ring: bool,
    /// Packets that are whole in a `.part`, by our own reading of it.
    left: Option<usize>,
    torn: usize,
    packets: usize,
}

/// When a capture is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Starting,
    Capturing,
    Closing,
    /// Not at all.
    Never,
}

impl Series {
    fn new(options: &'static [&'static str]) -> Self {
        Self {
            options,
            directory: Arc::new(tempdir().expect("a directory")),
            is_ring: options.contains(&"-W"),
            left: None,
            torn: 0,
            packets: 0,
        }
    }

    fn is_rotated(&self) -> bool {
        self.options.len() > 2
    }

    /// The files here, in the order in which they were begun.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).expect("it is there");
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_by_key(|file| file.display().to_string().replace("_interrupted", ""));
        files
    }

    /// Most frames of a capture that find room in the queue of its output: with small files, few bytes.
    fn queued(&self) -> usize {
        let size = self.options.windows(2).find(|pair| pair[0] == "-C");
        let Some([_, size]) = size else {
            return QUEUE / RECORD_LEN;
        };
        let kilobytes = size.strip_suffix("kB").and_then(|size| size.parse().ok());
        let size: usize = kilobytes.unwrap_or_else(|| panic!("{size} is not in kB"));
        QUEUED_FILES * (size * 1000 / RECORD_LEN)
    }

    fn start<'a>(&self, lab: &'a Lab) -> Running<'a> {
        let most = RATES[RATES.len() - 1] as usize * LONGEST.as_millis() as usize / 1000;
        let size = ring_size(most * RECORD_LEN);
        let arguments = [&["-i", HOST_IF, "--ring-size", &size], self.options].concat();
        agent::start_in(&lab.host, Arc::clone(&self.directory), &arguments)
    }

    /// One capture until it is killed or ends.
    fn capture(&mut self, lab: &Lab, moment: Moment, random: &mut Random) {
        let pause = |random: &mut Random, most: Duration| {
            let micros = random.below(most.as_micros() as usize) as u64;
            // The moment is what is tested.
            thread::sleep(Duration::from_micros(micros));
        };
        let running = self.start(lab);
        if moment == Moment::Starting {
            pause(random, 3 * LONGEST);
            running.signal(Signal::SIGKILL);
            running.wait(TIMEOUT);
            return self.look();
        }
        running.wait_ready();
        if !self.is_rotated() {
            // What the one before left is recovered, and out of the way.
            self.look_at();
            assert_eq!(self.left, None, "recovered by the next capture");
        }
        let stop = AtomicBool::new(false);
        let rate = RATES[random.below(RATES.len())];
        let nominal = rate as usize * LONGEST.as_millis() as usize / 1000;
        let most = self.queued().min(nominal) as u32;
        thread::scope(|scope| {
            let frames = (0..most)
                .take_while(|_| !stop.load(Ordering::Relaxed))
                .map(|number| traffic::frame(number, FRAME_LEN));
            scope.spawn(|| traffic::send(&lab.peer, PEER_IF, rate, frames));
            pause(random, LONGEST);
            if moment == Moment::Closing {
                running.signal(Signal::SIGTERM);
                pause(random, Duration::from_millis(30));
            }
            if moment == Moment::Never {
                running.signal(Signal::SIGTERM);
            } else {
                running.signal(Signal::SIGKILL);
            }
            stop.store(true, Ordering::Relaxed);
        });
        let ended = running.wait(TIMEOUT);
        if moment == Moment::Never {
            ended.expect_whole("user");
        }
        self.look();
    }

    /// Looks at what a capture has left.
    fn look(&mut self) {
        if !self.is_rotated() {
            // What it recovered is of the one before, and what it leaves itself is for the next.
            self.look_at();
        }
        let files = self.files().into_iter();
        let parts: Vec<_> = files.filter(|file| has_suffix(file, "part")).collect();
        assert!(parts.len() <= 1, "{parts:?}");
        for part in &parts {
            self.scan(part);
        }
        if self.is_rotated() {
            // No other will have its name: it is recovered as its user would.
            for part in &parts {
                let mut recover = Command::new(binary());
                let said = output(recover.arg("recover").arg(part));
                assert!(said.contains("left by an interrupted capture"), "{said}");
                assert!(!part.exists(), "{said}");
            }
            self.look_at();
        }
        assert!(parts.is_empty() || self.is_rotated() || self.files() == parts);
    }

    /// Counts what is whole in a `.part`.
    fn scan(&mut self, part: &Path) {
        let mut stream = Stream::open(part);
        let mut whole = 0;
        while stream.packet().is_some() {
            whole += 1;
        }
        let len = part.metadata().expect("it is there").len();
        self.torn += usize::from(stream.rest() > 0);
        // Without a whole header nothing of it stays.
        self.left = (len > stream.rest() as u64).then_some(whole);
    }

    /// Reads, judges and removes all files but a `.part`.
    fn look_at(&mut self) {
        let files = self.files().into_iter();
        let files: Vec<_> = files.filter(|file| !has_suffix(file, "part")).collect();
        let mut numbers = Vec::new();
        for (at, file) in files.iter().enumerate() {
            let found = numbers_in(file);
            // A rotation has dozens; those at which it was killed are what counts.
            if at + 2 >= files.len() {
                judge(file, found.len());
            }
            if file.to_string_lossy().contains("_interrupted") {
                assert_eq!(self.left.take(), Some(found.len()), "{}", file.display());
            }
            self.packets += found.len();
            numbers.push(found);
            fs::remove_file(file).expect("it is ours");
        }
        if self.is_rotated() {
            // One capture in several files.
            numbers = vec![numbers.concat()];
        }
        for numbers in numbers {
            let first = match self.is_ring {
                true => numbers.first().copied().unwrap_or_default(),
                false => 0,
            };
            assert!(
                numbers
                    .iter()
                    .copied()
                    .eq(first..first + numbers.len() as u32),
                "a whole prefix of what was sent in {files:?}, and not {numbers:?}"
            );
        }
    }
}

fn has_suffix(file: &Path, suffix: &str) -> bool {
    file.extension()
        .is_some_and(|extension| extension == suffix)
}

fn numbers_in(file: &Path) -> Vec<u32> {
    let mut stream = Stream::open(file);
    let mut numbers = Vec::new();
    while let Some(packet) = stream.packet() {
        assert_eq!(packet.bytes.len(), FRAME_LEN, "{}", file.display());
        numbers.push(number_in(packet.bytes).expect("ours alone"));
    }
    assert_eq!(stream.rest(), 0, "{} is whole", file.display());
    numbers
}

/// tshark takes a file without a word, and finds as many packets.
fn judge(file: &Path, packets: usize) {
    let done = Command::new("tshark")
        .args(["-n", "-T", "fields", "-e", "frame.number", "-r"])
        .arg(file)
        .output()
        .expect("tshark starts");
    let complaints = String::from_utf8_lossy(&done.stderr);
    let complaints: Vec<_> = complaints
        .lines()
        .filter(|line| !line.starts_with("Running as user"))
        .collect();
    let count = done.stdout.split(|byte| *byte == b'\n').count() - 1;
    assert!(
        done.status.success() && complaints.is_empty() && count == packets,
        "{}: {packets} packets, tshark finds {count}: {complaints:?}",
        file.display()
    );
}

#[test]
fn killed_at_any_moment() {
    let kills = count_from_env("CAPTURE_TEST_KILLS", KILLS);
    let mut random = Random::from_env(9);
    let lab = Lab::new();
    let mut series = [
        Series::new(&["-w", "o.pcapng"]),
        Series::new(&["-w", "o.pcap"]),
        Series::new(&["-C", "100kB", "-w", "o.pcapng"]),
        Series::new(&["-C", "300kB", "-W", "3", "-w", "o.pcap"]),
        Series::new(&["-G", "1", "-w", "o-%Y%m%d-%H%M%S.pcapng"]),
    ];
    let mut counts = [0; 4];
    for number in 0..kills {
        let moment = match random.below(8) {
            0 => Moment::Starting,
            1 | 2 => Moment::Closing,
            3 => Moment::Never,
            _ => Moment::Capturing,
        };
        counts[moment as usize] += 1;
        let at = number % series.len();
        series[at].capture(&lab, moment, &mut random);
    }
    for series in &mut series {
        series.capture(&lab, Moment::Never, &mut random);
        assert_eq!(series.left, None);
        println!(
            "{:?}: {} packets, {} times a torn record",
            series.options, series.packets, series.torn
        );
    }
    println!("killed while starting, capturing, closing, and not: {counts:?}");
}

#[test]
fn what_was_left_is_said_and_recovered() {
    let lab = Lab::new();
    let directory = Arc::new(tempdir().expect("a directory"));
    let start = |arguments: &[&str]| {
        let arguments = [&["-i", HOST_IF], arguments].concat();
        let running = agent::start_in(&lab.host, Arc::clone(&directory), &arguments);
        running.wait_ready();
        running
    };
    // Without -w the name has the time in it, and nobody will have it again.
    let running = start(&[]);
    traffic::send(&lab.peer, PEER_IF, 0, traffic::frames(0..50, FRAME_LEN));
    let grown = || {
        let names = fs::read_dir(directory.path())
            .expect("it is there")
            .flatten();
        let mut sizes = names.filter_map(|entry| Some(entry.metadata().ok()?.len()));
        sizes.any(|size| size > 50 * FRAME_LEN as u64)
    };
    assert!(capture_tests::eventually(TIMEOUT, grown));
    running.signal(Signal::SIGKILL);
    let names = running.wait(TIMEOUT).directory_names();
    let [part] = names.as_slice() else {
        panic!("{names:?}")
    };
    // What others left is nobody's business.
    fs::write(directory.path().join("film.part"), "no capture").expect("it can be written");

    let running = start(&["-w", "o.pcapng"]);
    let recover = |name: &str| {
        let mut command = Command::new(binary());
        command.arg("recover").arg(name);
        let done = command
            .current_dir(directory.path())
            .output()
            .expect("it starts");
        let said = [done.stdout, done.stderr].concat();
        (
            done.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let refused = [
        ("o.pcapng.part", 4, "being written by a running capture"),
        ("nothing.part", 3, "not there"),
        ("film.part", 1, "not a capture file"),
        ("o.pcapng", 2, "ends in .part"),
    ];
    for (name, code, words) in refused {
        let (found, said) = recover(name);
        assert!(
            found == Some(code) && said.contains(words),
            "{found:?} {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    // The one that runs is not among what was left.
    let stderr = running.stderr_so_far();
    let hints: Vec<_> = stderr
        .lines()
        .filter(|line| line.contains("interrupted capture"))
        .collect();
    let command = format!("`capture-agent recover {part}`");
    assert!(
        matches!(hints.as_slice(), [hint] if hint.contains(&command)),
        "{stderr}"
    );
    let (code, said) = recover(part);
    assert_eq!(code, Some(0), "{said}");
    let recovered = part.replace(".pcapng.part", "_interrupted.pcapng");
    let words = format!("its 50 packets are now in {recovered}");
    assert!(said.contains(&words), "{said}");
    let path = directory.path().join(recovered);
    assert_eq!(numbers_in(&path), Vec::from_iter(0..50));
    judge(&path, 50);
    fs::remove_file(directory.path().join("film.part")).expect("it is there");
    fs::remove_file(path).expect("it is there");
    running.stop().expect_whole("user");

    // Nothing is left, and nothing is said.
    let ended = start(&["-w", "o.pcapng"]).stop().expect_whole("user");
    ended.check(!ended.stderr.contains("interrupted"), "no hint");
}
