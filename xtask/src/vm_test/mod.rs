//! Boots the kernels that the agent supports, each in a virtual machine without hardware help, and
//! captures there. [`kernel`] fetches a kernel ([`modules`], [`apt`]), [`machine`] packs it with the agent, [`tasks`]
//! and the guest's scripts into an initramfs and runs it by the emulator of [`tools`], [`verdict`] judges what came
//! out of it on the host ([`captures`], [`clock`], [`daemon`], [`pcap`]).

mod apt;
mod captures;
mod clock;
mod daemon;
mod kernel;
mod machine;
mod modules;
mod pcap;
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
    /// Kernels to boot, of 5.10, 6.1, 6.12, sid and host; all of them when none is named
    kernels: Vec<String>,
    /// Keep the initramfs, the console's log and the captures of good runs too
    #[arg(long)]
    keep: bool,
    /// Boot with this agent instead of building one
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// What all runs share.
struct Host {
    tools: Tools,
    load: Load,
    /// What each of the many tasks must take.
    many: Vec<tasks::Expected>,
    /// Whether good runs leave their files.
    keep: bool,
}

/// A kernel, and how its run went.
struct Outcome {
    name: &'static str,
    checks: Vec<Check>,
    took: Duration,
}

/// `cargo xtask vm-test`. A line a check goes to stdout, one a kernel, and the sum at the end.
pub(crate) fn vm_test(arguments: &Arguments) -> ExitCode {
    let mut tally = Tally::default();
    let Arguments {
        kernels,
        keep,
        agent,
    } = arguments;
    if let Err(error) = run(kernels, agent.as_deref(), *keep, &mut tally) {
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

/// Boots kernels, all where none is named, and adds the checks made in each.
///
/// # Errors
/// Something is lacking that every kernel needs, or a name is not known.
pub(crate) fn run(
    kernels: &[String],
    agent: Option<&Path>,
    keep: bool,
    tally: &mut Tally,
) -> Result<()> {
    let choices = chosen(kernels)?;
    if std::env::consts::ARCH != "x86_64" {
        bail!("vm-test boots x86_64 kernels with the host's programs; run it on such a host");
    }
    packages::ensure_tools(TOOLS)?;
    let tools = Tools::ensure()?;
    let frames_program = build::frames()?;
    let directory = workspace::target_dir()?.join("vm-test");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let frames = directory.join("frames.pcap");
    command::output(Command::new(&frames_program).arg("make").arg(&frames))?;
    let many = tasks::expected(&frames)?;
    let agent = match agent {
        Some(agent) => agent.to_owned(),
        None => build::agent(&build::object()?, build::Profile::Release)?,
    };
    let load = Load {
        agent,
        frames_program,
        frames,
    };
    let host = Host {
        tools,
        load,
        many,
        keep,
    };
    let mut jobs = Vec::new();
    for choice in choices {
        // One after the other: they come by way of one apt and one cache.
        let kernel = choice.fetch();
        if let (Err(error), true, true) = (&kernel, choice.is_optional(), kernels.is_empty()) {
            let skip = Skip {
                test: format!("vm-test {}", choice.name),
                reason: format!("{error:#}"),
            };
            command::say(format_args!("skipped: {skip}"));
            tally.skipped.push(skip);
            continue;
        }
        jobs.push((choice.name, kernel));
    }
    for Outcome { name, checks, took } in &side_by_side(jobs, &host) {
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

/// Runs all kernels, some at a time; the outcomes are in the order of the kernels.
fn side_by_side(jobs: Vec<(&'static str, Result<Kernel>)>, host: &Host) -> Vec<Outcome> {
    let waiting = Mutex::new(jobs.into_iter().enumerate());
    let done = Mutex::new(Vec::new());
    let next = || lock(&waiting).next();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((place, (name, kernel))) = next() {
                    let started = Instant::now();
                    let checks = kernel
                        .and_then(|kernel| one(name, &kernel, host))
                        .unwrap_or_else(|error| {
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
fn one(name: &str, kernel: &Kernel, host: &Host) -> Result<Vec<Check>> {
    let machine = machine::build(&host.tools, name, kernel, &host.load)?;
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
