//! Builds the agent as it is installed, as the present user and becomes `capture-agent run`, through sudo where
//! that user is not root. What follows is the agent's: signals, output, exit code.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Result, anyhow};

use crate::{build, build::Profile, command, packages};

/// Arguments of `cargo xtask run`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Arguments of `capture-agent run`; without any, ten seconds of the default route's interface
    #[arg(last = true)]
    agent: Vec<String>,
}

/// `cargo xtask run`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let agent = build::agent(&build::object()?, Profile::Dist)?;
    let arguments = if arguments.agent.is_empty() {
        let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let interface = default_interface(&routes).unwrap_or("any");
        ["--duration", "10s", "-i", interface]
            .map(str::to_owned)
            .to_vec()
    } else {
        arguments.agent.clone()
    };
    let mut agent = as_root(&agent);
    agent.arg("run").args(arguments);
    command::say(format_args!("starting `{}`", command::line(&agent)));
    // Only a failure comes back.
    let error = agent.exec();
    Err(anyhow!(error).context(format!("cannot start `{}`", command::line(&agent))))
}

/// A command that runs `program` as root: through sudo, unless we are.
pub(crate) fn as_root(program: &Path) -> Command {
    if packages::is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg(program);
    sudo
}

/// The interface of the default route with the lowest metric, from `/proc/net/route`: a heading,
/// then a line a route with interface, destination (0), metric (6) and mask (7) in hexadecimal.
fn default_interface(routes: &str) -> Option<&str> {
    routes
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            match *fields.as_slice() {
                [interface, "00000000", _, _, _, _, metric, "00000000", ..] => {
                    Some((metric.parse::<u32>().ok()?, interface))
                }
                _ => None,
            }
        })
        .min_by_key(|(metric, _)| *metric)
        .map(|(_, interface)| interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str =
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";

    #[test]
    fn the_default_route_of_the_lowest_metric_counts() {
        let routes = format!(
            "{HEADING}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
             eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
             docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
        );
        assert_eq!(default_interface(&routes), Some("eth0"));
    }

    #[test]
    fn without_a_default_route_there_is_none() {
        let routes =
            format!("{HEADING}docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n");
        assert_eq!(default_interface(&routes), None);
        assert_eq!(default_interface(""), None);
    }
}
