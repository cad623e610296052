//! Boots the Debian kernels that the agent supports, each in a virtual machine without hardware
//! help, and captures there. [`kernel`] fetches a kernel, [`machine`] packs it with the agent and
//! `guest.sh` into an initramfs and runs it, [`verdict`] judges what came out of it on the host.

mod kernel;
mod machine;
mod verdict;

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result, bail};

use self::{kernel::Suite, verdict::Check};
use crate::{build, command, packages, packages::Tool};

/// All that a run needs on the host besides the compilers.
const TOOLS: &[Tool] = &[
    Tool {
        program: "qemu-system-x86_64",
        packages: &["qemu-system-x86"],
    },
    Tool {
        program: "busybox",
        packages: &["busybox-static"],
    },
    Tool {
        program: "xz",
        packages: &["xz-utils"],
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
        program: "bpftool",
        packages: &["bpftool", "linux-tools-common"],
    },
    Tool {
        program: "tshark",
        packages: &["tshark"],
    },
];

/// Arguments of `cargo xtask vm-test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kernels to boot, of 5.10, 6.1 and 6.12; all of them when none is named
    kernels: Vec<String>,
    /// Keep the initramfs, the console's log and the captures of good runs too
    #[arg(long)]
    keep: bool,
    /// Boot with this agent instead of building one
    #[arg(long, value_name = "FILE")]
    agent: Option<std::path::PathBuf>,
}

/// `cargo xtask vm-test`. A line a check goes to stdout, and one a kernel at the end.
pub(crate) fn vm_test(arguments: &Arguments) -> ExitCode {
    match run(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            command::report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let suites = chosen(&arguments.kernels)?;
    if std::env::consts::ARCH != "x86_64" {
        bail!("vm-test boots x86_64 kernels with the host's programs; run it on such a host");
    }
    packages::ensure_tools(TOOLS)?;
    let agent = match &arguments.agent {
        Some(agent) => agent.clone(),
        None => build::agent(&build::object()?, true)?,
    };
    let mut summary = Vec::new();
    for suite in suites {
        let started = Instant::now();
        let checks = one(suite, &agent, arguments.keep).unwrap_or_else(|error| {
            vec![Check::failed(
                "the virtual machine".to_owned(),
                format!("{error:#}"),
            )]
        });
        for check in &checks {
            println!("{}: {check}", suite.version);
        }
        let failed = checks.iter().filter(|check| !check.is_good()).count();
        summary.push((suite.version, checks.len(), failed, started.elapsed()));
    }
    for (version, checks, failed, took) in &summary {
        println!(
            "vm-test {version}: {} ({} passed, {failed} failed, {:.0} s)",
            if *failed == 0 { "pass" } else { "FAIL" },
            checks - failed,
            took.as_secs_f32(),
        );
    }
    Ok(summary.iter().all(|(_, _, failed, _)| *failed == 0))
}

/// One kernel from its package to the verdict.
fn one(suite: &Suite, agent: &std::path::Path, keep: bool) -> Result<Vec<Check>> {
    let kernel = kernel::fetch(suite).with_context(|| {
        format!(
            "cannot get the {} kernel of Debian {}",
            suite.version, suite.name
        )
    })?;
    let machine = machine::build(suite, &kernel, agent)?;
    command::say(format_args!("booting {}", kernel.name));
    let ended = machine.boot()?;
    let checks = verdict::judge(&machine, ended)?;
    let good = checks.iter().all(Check::is_good);
    if good && !keep {
        machine.remove()?;
    } else {
        command::say(format_args!(
            "console.log, the captures and all else: {}",
            machine.directory().display()
        ));
    }
    Ok(checks)
}

fn chosen(wanted: &[String]) -> Result<Vec<&'static Suite>> {
    if wanted.is_empty() {
        return Ok(kernel::SUITES.iter().collect());
    }
    wanted
        .iter()
        .map(|version| {
            kernel::SUITES
                .iter()
                .find(|suite| suite.version == version)
                .with_context(|| {
                    let known: Vec<_> = kernel::SUITES.iter().map(|suite| suite.version).collect();
                    format!(
                        "no kernel {version} to test; there are {}",
                        known.join(", ")
                    )
                })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_chosen_by_version() {
        let versions = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            chosen(&wanted).map(|suites| suites.iter().map(|suite| suite.version).collect())
        };
        assert_eq!(versions(&["6.1"]).ok(), Some(vec!["6.1"]));
        assert_eq!(
            versions(&[]).map(|all: Vec<_>| all.len()).ok(),
            Some(kernel::SUITES.len())
        );
        assert!(versions(&["4.19"]).is_err());
    }
}
