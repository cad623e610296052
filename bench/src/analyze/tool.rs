//! The programs that read the file, each run once, on one CPU, without its output; CPU time and peak memory by wait4(2).

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{prctl, signal::Signal},
    unistd::Pid,
};
use serde::Serialize;

/// A program that reads capture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Tool {
    Agent,
    Capinfos,
    Tcpdump,
    Tcptrace,
    Tshark,
    /// With its own judgement of each packet.
    TsharkExpert,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Usage {
    /// CPU time in seconds.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// Most memory that was resident, in bytes.
    pub(crate) peak: u64,
}

impl Tool {
    pub(crate) const ALL: [Self; 6] = [
        Self::Agent,
        Self::Capinfos,
        Self::Tcpdump,
        Self::Tcptrace,
        Self::Tshark,
        Self::TsharkExpert,
    ];

    /// The command line, without the file.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Agent => &["analyze"],
            Self::Capinfos => &["capinfos", "-c", "-s", "-u"],
            Self::Tcpdump => &["tcpdump", "-nn", "-r"],
            Self::Tcptrace => &["tcptrace", "-n"],
            Self::Tshark => &["tshark", "-n", "-q", "-z", "conv,tcp", "-r"],
            Self::TsharkExpert => &["tshark", "-n", "-q", "-z", "expert", "-r"],
        }
    }

    /// Runs it; the error says how it ended otherwise than well.
    pub(crate) fn run(self, agent: &Path, file: &Path) -> Result<Usage> {
        let mut words: Vec<OsString> = self.words().iter().map(OsString::from).collect();
        if self == Self::Agent {
            words.insert(0, agent.into());
        }
        words.push(file.into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let cpu = first_cpu()?;
        // SAFETY: only system calls between fork and exec, and no allocation.
        unsafe {
            command.pre_exec(move || {
                // A killed benchmark takes its tools along.
                prctl::set_pdeathsig(Signal::SIGKILL)?;
                let mut set = CpuSet::new();
                set.set(cpu)?;
                Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
            });
        }
        let name = words[0].to_string_lossy();
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let (status, usage) = wait(child.id())?;
        ensure!(status.success(), "{status}");
        Ok(usage)
    }
}

/// Runs this program again with other arguments; what it prints.
pub(crate) fn own(arguments: &[&OsStr]) -> Result<String> {
    let output = Command::new(env::current_exe()?)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn first_cpu() -> Result<usize> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let mut cpus = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false));
    cpus.next_back().context("no CPU to run on")
}

fn wait(pid: u32) -> Result<(ExitStatus, Usage)> {
    let (mut status, pid) = (0, pid as i32);
    // SAFETY: all zeroes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: the kernel writes into `status` and `usage`, which live on.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
        if waited == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error).context("waiting for a tool");
        }
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let usage = Usage {
        user: seconds(usage.ru_utime),
        system: seconds(usage.ru_stime),
        peak: (usage.ru_maxrss as u64) << 10,
    };
    Ok((ExitStatus::from_raw(status), usage))
}
