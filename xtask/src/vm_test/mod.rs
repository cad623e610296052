//! Boots the kernels that the agent supports, each in a virtual machine without hardware help, and
//! captures there. [`kernel`] fetches a kernel ([`modules`], [`apt`]), [`machine`] packs it with the agent, [`tasks`]
//! and the guest's scripts into an initramfs and runs it by the emulator of [`tools`], [`verdict`] judges what came
//! out of it on the host ([`captures`], [`clock`], [`daemon`], [`pcap`]). [`system`] boots a whole Debian, where the
//! package is installed and used.

mod apt;
mod captures;
mod clock;
mod daemon;
mod kernel;
mod machine;
mod modules;
mod pcap;
mod system;
mod tasks;
mod tools;
mod verdict;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

pub(crate) use self::system::Suite;
use self::{
    kernel::{Choice, KERNELS, Kernel},
    machine::Load,
    tools::Tools,
    verdict::Check,
};
use crate::{
    build, command,
    packages::{self, Tool},
    results::{Skip, Tally},
    workspace,
};

/// All that a run needs on the host besides the compilers and [`Tools`].
const TOOLS: &[Tool] = &[
    Tool {
        program: "openssl",
        packages: &["openssl"],
    },
    Tool {
        program: "xz",
        packages: &["xz-utils"],
    },
    Tool {
        program: "zstd",
        packages: &["zstd"],
    },
    Tool {
        program: "ip",
        packages: &["iproute2"],
    },
    Tool {
        program: "tc",
        packages: &["iproute2"],
    },
    Tool {
        program: "tshark",
        packages: &["tshark"],
    },
    Tool {
        program: "capinfos",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "tcpdump",
        packages: &["tcpdump"],
    },
];

/// Machines that run at the same time: each keeps about one CPU busy.
const AT_ONCE: usize = 2;

/// Arguments of `cargo xtask vm-test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kernels to boot, of 5.10, 6.1, 6.12, sid and host; all of them when neither a kernel nor a system is named
    kernels: Vec<String>,
    /// Whole systems with systemd to install and use the package on; both when none is named
    #[arg(
        long,
        value_name = "SUITE,…",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = "bookworm,trixie"
    )]
    system: Option<Vec<Suite>>,
    /// Keep all files of good runs too: the console's log, the captures
    #[arg(long)]
    keep: bool,
    /// Boot with this agent instead of building one
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// The package for systems, instead of one of the agent
    #[arg(long, value_name = "FILE", requires = "system")]
    deb: Option<PathBuf>,
}

/// What is to be booted.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    /// By name; `Some` of none is all of them.
    pub(crate) kernels: Option<&'a [String]>,
    pub(crate) systems: &'a [Suite],
    /// Built where there is none.
    pub(crate) agent: Option<&'a Path>,
    /// For the systems, made of the agent where there is none.
    pub(crate) package: Option<&'a Path>,
    /// Whether good runs leave their files.
    pub(crate) keep: bool,
}

/// What all runs of kernels share.
struct Host<'a> {
    tools: &'a Tools,
    load: Load,
    /// What each of the many tasks must take.
    many: Vec<tasks::Expected>,
    /// Whether good runs leave their files.
    keep: bool,
}

/// The run of one machine.
struct Job<'a> {
    name: &'static str,
    run: Box<dyn FnOnce() -> Result<Vec<Check>> + Send + 'a>,
}

/// A machine, and how its run went.
struct Outcome {
    name: &'static str,
    checks: Vec<Check>,
    took: Duration,
}

/// `cargo xtask vm-test`. A line a check goes to stdout, one a machine, and the sum at the end.
pub(crate) fn vm_test(arguments: &Arguments) -> ExitCode {
    let mut tally = Tally::default();
    let Arguments {
        kernels,
        system,
        keep,
        agent,
        deb,
    } = arguments;
    let wanted = Wanted {
        kernels: (system.is_none() || !kernels.is_empty()).then_some(kernels),
        systems: system.as_deref().unwrap_or_default(),
        agent: agent.as_deref(),
        package: deb.as_deref(),
        keep: *keep,
    };
    if let Err(error) = run(&wanted, &mut tally) {
        command::report(&error);
        tally.failed += 1;
    }
    println!("{tally}");
    if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Boots kernels and systems, and adds the checks made in each.
///
/// # Errors
/// Something is lacking that every machine needs, or a name is not known.
pub(crate) fn run(wanted: &Wanted<'_>, tally: &mut Tally) -> Result<()> {
    let choices = wanted.kernels.map(chosen).transpose()?;
    if std::env::consts::ARCH != "x86_64" {
        bail!("vm-test boots x86_64 kernels with the host's programs; run it on such a host");
    }
    packages::ensure_tools(TOOLS)?;
    let tools = Tools::ensure()?;
    let agent = match (wanted.agent, wanted.package, &choices) {
        (Some(agent), ..) => agent.to_owned(),
        // Nothing is captured with but the package's.
        (None, Some(_), None) => PathBuf::new(),
        (None, ..) => build::agent(&build::object()?, build::Profile::Release)?,
    };
    let host;
    let mut jobs = Vec::new();
    // First, as they take longest.
    for suite in wanted.systems {
        let package = system::package(*suite, wanted.package, &agent)?;
        let (tools, keep) = (&tools, wanted.keep);
        jobs.push(Job {
            name: suite.name(),
            run: Box::new(move || system::one(*suite, tools, &package, keep)),
        });
    }
    if let Some(choices) = choices {
        host = Host::new(&tools, agent, wanted.keep)?;
        let is_all = wanted.kernels.is_none_or(<[String]>::is_empty);
        jobs.extend(kernels(&choices, is_all, &host, tally));
    }
    for Outcome { name, checks, took } in &side_by_side(jobs) {
        let failed = checks.iter().filter(|check| !check.is_good()).count();
        println!(
            "vm-test {name}: {} ({} passed, {failed} failed, {:.0} s)",
            if failed == 0 { "pass" } else { "FAIL" },
            checks.len() - failed,
            took.as_secs_f32(),
        );
        tally.failed += failed as u64;
        tally.passed += (checks.len() - failed) as u64;
    }
    Ok(())
}

impl<'a> Host<'a> {
    fn new(tools: &'a Tools, agent: PathBuf, keep: bool) -> Result<Self> {
        let frames_program = build::frames()?;
        let directory = workspace::target_dir()?.join("vm-test");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let frames = directory.join("frames.pcap");
        command::output(Command::new(&frames_program).arg("make").arg(&frames))?;
        let many = tasks::expected(&frames)?;
        let load = Load {
            agent,
            frames_program,
            frames,
        };
        Ok(Self {
            tools,
            load,
            many,
            keep,
        })
    }
}

/// The runs of kernels. Of `is_all` those that this machine cannot have are skipped.
fn kernels<'a>(
    choices: &[&'static Choice],
    is_all: bool,
    host: &'a Host<'_>,
    tally: &mut Tally,
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    for &choice in choices {
        // One after the other: they come by way of one apt and one cache.
        let kernel = choice.fetch();
        if let (Err(error), true, true) = (&kernel, choice.is_optional(), is_all) {
            let skip = Skip {
                test: format!("vm-test {}", choice.name),
                reason: format!("{error:#}"),
            };
            command::say(format_args!("skipped: {skip}"));
            tally.skipped.push(skip);
            continue;
        }
        jobs.push(Job {
            name: choice.name,
            run: Box::new(move || one(choice.name, &kernel?, host)),
        });
    }
    jobs
}

/// Runs all machines, some at a time; the outcomes are in the order of the jobs.
fn side_by_side(jobs: Vec<Job<'_>>) -> Vec<Outcome> {
    let waiting = Mutex::new(jobs.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || lock(&waiting).next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((place, Job { name, run })) = next() {
                    let started = Instant::now();
                    let checks = run().unwrap_or_else(|error| {
                        let name = "the virtual machine".to_owned();
                        vec![Check::failed(name, format!("{error:#}"))]
                    });
                    let took = started.elapsed();
                    let mut done = lock(&done);
                    for check in &checks {
                        println!("{name}: {check}");
                    }
                    done.push((place, Outcome { name, checks, took }));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|error| error.into_inner());
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|error| error.into_inner())
}

/// One kernel from its image to the verdict.
fn one(name: &str, kernel: &Kernel, host: &Host<'_>) -> Result<Vec<Check>> {
    let machine = machine::build(host.tools, name, kernel, &host.load)?;
    command::say(format_args!("booting {}", kernel.name));
    let ended = machine.boot()?;
    let checks = verdict::judge(&machine, ended, &host.many)?;
    if checks.iter().all(Check::is_good) && !host.keep {
        machine.remove()?;
    } else {
        command::say(format_args!(
            "console.log, the captures and all else: {}",
            machine.directory().display()
        ));
    }
    Ok(checks)
}

fn chosen(wanted: &[String]) -> Result<Vec<&'static Choice>> {
    if wanted.is_empty() {
        return Ok(KERNELS.iter().collect());
    }
    wanted
        .iter()
        .map(|name| {
            KERNELS
                .iter()
                .find(|choice| choice.name == name)
                .with_context(|| {
                    let known: Vec<_> = KERNELS.iter().map(|choice| choice.name).collect();
                    format!("no kernel {name} to test; there are {}", known.join(", "))
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_chosen_by_name() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            chosen(&wanted).map(|choices| choices.iter().map(|choice| choice.name).collect())
        };
        assert_eq!(names(&["6.1"]).ok(), Some(vec!["6.1"]));
        assert_eq!(
            names(&[]).map(|all: Vec<_>| all.len()).ok(),
            Some(KERNELS.len())
        );
        assert!(names(&["4.19"]).is_err());
    }
}
