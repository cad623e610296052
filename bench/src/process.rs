//! A capture tool as a process: pinned to its CPU, waited for until it captures and until it has
//! written what it has, asked for its CPU time and memory, ended in order, and gone in any case.

use std::{
    ffi::OsString,
    fs,
    io::Read,
    os::unix::process::CommandExt as _,
    process::{Child, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use capture_tests::netns::Netns;
use nix::{
    sys::{
        prctl,
        signal::{Signal, killpg},
    },
    unistd::{Pid, SysconfVar, sysconf},
};
use serde::Serialize;

use crate::{generator::pin, interrupt};

/// Loading programs takes a while on a busy machine.
const READY: Duration = Duration::from_secs(20);
/// Writing back gigabytes takes a slow disk as long.
const END: Duration = Duration::from_secs(180);
/// A tool that uses the CPU less than this share of a look's time has written what it had.
const IDLE: f64 = 0.05;
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The last packets of a quiet link reach a tool by a timer: of one second with tcpdump, whose kernel
/// side hands over whole blocks.
const TIMER: Duration = Duration::from_millis(1200);
/// Most time to become idle; some tools poll for ever.
const SETTLED: Duration = Duration::from_secs(20);

/// CPU time of a process, all threads.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct CpuTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Memory {
    /// The most that was resident at any time.
    pub(crate) peak: u64,
    /// Of it the rings that it shares with the kernel.
    pub(crate) ring: u64,
}

/// A process that runs.
pub(crate) struct Process {
    child: Child,
    pid: i32,
    reaped: bool,
    name: String,
    stdout: Stream,
    stderr: Stream,
}

/// A process that has ended.
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Of its whole life.
    pub(crate) cpu: CpuTime,
}

struct Stream {
    text: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

impl Process {
    /// Starts a command in a namespace on one CPU.
    pub(crate) fn start(namespace: &Netns, cpu: usize, command: &[OsString]) -> Result<Self> {
        Self::start_on(namespace, Some(cpu), command)
    }

    /// The same on whatever CPUs there are.
    pub(crate) fn start_anywhere(namespace: &Netns, command: &[OsString]) -> Result<Self> {
        Self::start_on(namespace, None, command)
    }

    fn start_on(namespace: &Netns, cpu: Option<usize>, command: &[OsString]) -> Result<Self> {
        let (program, arguments) = command.split_first().context("no command")?;
        let name = program.to_string_lossy().into_owned();
        let mut command = namespace.command(program);
        command.args(arguments).process_group(0);
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: only system calls between fork and exec, and an error without an allocation that
        // another thread could hold the lock for.
        unsafe {
            command.pre_exec(move || {
                // A killed benchmark takes its tools along.
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                cpu.map_or(Ok(()), pin)
                    .map_err(|_| std::io::ErrorKind::InvalidInput.into())
            });
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            pid: child.id() as i32,
            reaped: false,
            name,
            stdout: Stream::of(child.stdout.take()),
            stderr: Stream::of(child.stderr.take()),
            child,
        })
    }

    /// Waits until it captures, by its word.
    pub(crate) fn wait_ready(&mut self, words: &str) -> Result<()> {
        self.wait_said(words)?;
        // The words come before the deed with some.
        interrupt::sleep(Duration::from_millis(200))
    }

    /// Waits until it has said `words`, and knows of it within two milliseconds.
    pub(crate) fn wait_said(&mut self, words: &str) -> Result<()> {
        let end = Instant::now() + READY;
        loop {
            let said = [self.stdout.so_far(), self.stderr.so_far()].concat();
            if said.contains(words) {
                return Ok(());
            }
            if self.reap(libc::WNOHANG)?.is_some() {
                bail!("it ended at once: {}", last_line(&said));
            }
            ensure!(Instant::now() < end, "it did not say `{words}` in time");
            interrupt::sleep(Duration::from_millis(2))?;
        }
    }

    /// Waits until it has nothing left to do.
    pub(crate) fn wait_idle(&self) -> Result<()> {
        let end = Instant::now() + SETTLED;
        interrupt::sleep(TIMER)?;
        let mut before = self.cpu()?;
        loop {
            interrupt::sleep(POLL_INTERVAL)?;
            let now = self.cpu()?;
            let used = now.user + now.system - before.user - before.system;
            if used <= POLL_INTERVAL.as_secs_f64() * IDLE || Instant::now() > end {
                return Ok(());
            }
            before = now;
        }
    }

    /// CPU time until now, from `/proc/PID/stat`.
    pub(crate) fn cpu(&self) -> Result<CpuTime> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))
            .with_context(|| format!("{} is gone", self.name))?;
        let ticks = clock_ticks()?;
        let [user, system] = stat_times(&stat).context("/proc/PID/stat is of another form")?;
        Ok(CpuTime {
            user: user as f64 / ticks,
            system: system as f64 / ticks,
        })
    }

    /// CPU time until now with that of the processes that it started and that live, in seconds.
    pub(crate) fn family_cpu(&self) -> Result<f64> {
        let own = self.cpu()?;
        let mut seconds = own.user + own.system;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))?.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace() {
                let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
                let [user, system] = stat_times(&stat).unwrap_or_default();
                seconds += (user + system) as f64 / clock_ticks()?;
            }
        }
        Ok(seconds)
    }

    /// Memory until now.
    pub(crate) fn memory(&self) -> Memory {
        let read = |name| fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        Memory {
            peak: kib_after(&read("status").unwrap_or_default(), "VmHWM:"),
            ring: ring_bytes(&read("smaps").unwrap_or_default()),
        }
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn stop(mut self) -> Result<Ended> {
        self.signal(Signal::SIGINT);
        let end = Instant::now() + END;
        let cpu = loop {
            if let Some(cpu) = self.reap(libc::WNOHANG)? {
                break cpu;
            }
            ensure!(Instant::now() < end, "{} does not end", self.name);
            interrupt::sleep(Duration::from_millis(10))?;
        };
        Ok(Ended {
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
            cpu,
        })
    }

    fn signal(&self, signal: Signal) {
        // It may have gone by itself; then there is nobody to tell.
        let _ = killpg(Pid::from_raw(self.pid), signal);
    }

    /// CPU time of its life, once it has ended.
    fn reap(&mut self, options: i32) -> Result<Option<CpuTime>> {
        // SAFETY: all zeroes are a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes a status, which is not wanted, and into `usage`, which lives on.
        let pid = unsafe { libc::wait4(self.pid, std::ptr::null_mut(), options, &raw mut usage) };
        match pid {
            0 => Ok(None),
            pid if pid == self.pid => {
                self.reaped = true;
                Ok(Some(CpuTime {
                    user: seconds(usage.ru_utime),
                    system: seconds(usage.ru_stime),
                }))
            }
            _ => Err(std::io::Error::last_os_error()).context("waiting for a tool"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::SIGKILL);
            // Its own pid is what `child` would wait for; nothing is to be done about a failure.
            let _ = self.child.wait();
        }
    }
}

impl Stream {
    fn of(from: Option<impl Read + Send + 'static>) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = from.map(|mut from| {
            thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    let part = String::from_utf8_lossy(&buffer[..count]);
                    sink.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push_str(&part);
                }
            })
        });
        Self { text, reader }
    }

    fn so_far(&self) -> String {
        self.text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Everything, once the other end is closed.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.so_far()
    }
}

fn seconds(time: libc::timeval) -> f64 {
    time.tv_sec as f64 + time.tv_usec as f64 / 1e6
}

fn last_line(text: &str) -> &str {
    let mut lines = text.lines().rev();
    lines
        .find(|line| !line.trim().is_empty())
        .unwrap_or("no word")
}

fn clock_ticks() -> Result<f64> {
    Ok(sysconf(SysconfVar::CLK_TCK)?.context("no clock tick")? as f64)
}

/// utime and stime, fields 14 and 15; the name in brackets may hold blanks.
fn stat_times(stat: &str) -> Option<[u64; 2]> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some([fields.next()?.parse().ok()?, fields.next()?.parse().ok()?])
}

/// The kibibytes behind a name, as bytes; 0 where there are none.
fn kib_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// Resident bytes of the mappings that the kernel fills with packets: packet sockets, maps of BPF
/// and rings of perf.
fn ring_bytes(smaps: &str) -> u64 {
    let (mut total, mut is_ring) = (0, false);
    for line in smaps.lines() {
        let first = line.split_whitespace().next().unwrap_or_default();
        if !first.ends_with(':') {
            is_ring = ["socket:[", "anon_inode:bpf-map", "anon_inode:[perf_event]"]
                .iter()
                .any(|kind| line.contains(kind));
        } else if is_ring && first == "Rss:" {
            total += kib_after(line, "Rss:");
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 1 0 0 0 12 34 0 0 20 0 1 0 99 0 0";
        assert_eq!(stat_times(stat), Some([12, 34]));
        assert_eq!(stat_times("7"), None);
    }

    #[test]
    fn only_mappings_of_rings_count() {
        let smaps = "7f00-7f10 rw-s 00000000 00:08 123   socket:[123]\nSize:  64 kB\nRss:  \
                     64 kB\nVmFlags: rd\n7f20-7f30 rw-p 00000000 00:00 0   [heap]\nRss:  8 \
                     kB\n7f40-7f50 r--s 00000000 00:0e 9  anon_inode:bpf-map\nRss:   4 kB\n";
        assert_eq!(ring_bytes(smaps), 68 << 10);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(
            kib_after("VmPeak:\t 9 kB\nVmHWM:\t   12 kB\n", "VmHWM:"),
            12 << 10
        );
        assert_eq!(kib_after("", "VmHWM:"), 0);
    }
}
