//! Debian and Ubuntu packages: which are there, which could be, and installing them as root or
//! through passwordless sudo. `toolchain`, `linker` and `test` say what they need; where this
//! module may not install it, its error is the command to type.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// A program that tests or benchmarks start, and the packages that may bring it, the likeliest first.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) packages: &'static [&'static str],
}

/// All that the tests start besides the agent.
pub(crate) const TEST_TOOLS: &[Tool] = &[
    Tool {
        program: "tshark",
        packages: &["tshark"],
    },
    Tool {
        program: "capinfos",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "dumpcap",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "editcap",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "mergecap",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "tcpdump",
        packages: &["tcpdump"],
    },
    Tool {
        program: "tcpreplay",
        packages: &["tcpreplay"],
    },
    Tool {
        program: "scapy",
        packages: &["python3-scapy"],
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
        program: "ethtool",
        packages: &["ethtool"],
    },
    Tool {
        program: "setpriv",
        packages: &["util-linux"],
    },
    Tool {
        program: "mount",
        packages: &["mount"],
    },
    Tool {
        program: "curl",
        packages: &["curl"],
    },
    Tool {
        program: "jq",
        packages: &["jq"],
    },
    Tool {
        program: "setcap",
        packages: &["libcap2-bin"],
    },
    Tool {
        program: "openssl",
        packages: &["openssl"],
    },
    Tool {
        program: "nginx",
        packages: &["nginx-light", "nginx"],
    },
    Tool {
        program: "sshd",
        packages: &["openssh-server"],
    },
    Tool {
        program: "ssh",
        packages: &["openssh-client"],
    },
    Tool {
        program: "systemd-analyze",
        packages: &["systemd"],
    },
    Tool {
        program: "promtool",
        packages: &["prometheus"],
    },
    Tool {
        program: "nmap",
        packages: &["nmap"],
    },
    Tool {
        program: "hping3",
        packages: &["hping3"],
    },
    Tool {
        program: "hydra",
        packages: &["hydra"],
    },
    Tool {
        program: "ping",
        packages: &["iputils-ping"],
    },
    Tool {
        program: "arping",
        packages: &["iputils-arping"],
    },
    Tool {
        program: "nft",
        packages: &["nftables"],
    },
    Tool {
        program: "dig",
        packages: &["bind9-dnsutils"],
    },
    Tool {
        program: "dnsmasq",
        packages: &["dnsmasq-base"],
    },
    // Before udhcpc, which else brings the busybox with shared libraries in its place.
    Tool {
        program: "busybox",
        packages: &["busybox-static"],
    },
    Tool {
        program: "udhcpc",
        packages: &["udhcpc"],
    },
    Tool {
        program: "radvd",
        packages: &["radvd"],
    },
    Tool {
        program: "arpspoof",
        packages: &["dsniff"],
    },
    Tool {
        program: "iodine",
        packages: &["iodine"],
    },
    Tool {
        program: "ptunnel",
        packages: &["ptunnel"],
    },
    Tool {
        program: "ndpiReader",
        packages: &["libndpi-bin"],
    },
    Tool {
        program: "redis-cli",
        packages: &["redis-tools"],
    },
    Tool {
        program: "zsh",
        packages: &["zsh"],
    },
    Tool {
        program: "fish",
        packages: &["fish"],
    },
];

/// What the benchmark of whole captures cannot do without.
pub(crate) const BENCH_TOOLS: &[Tool] = &[
    Tool {
        program: "ip",
        packages: &["iproute2"],
    },
    Tool {
        program: "ss",
        packages: &["iproute2"],
    },
    Tool {
        program: "ethtool",
        packages: &["ethtool"],
    },
    Tool {
        program: "capinfos",
        packages: &["wireshark-common"],
    },
    Tool {
        program: "tcpdump",
        packages: &["tcpdump"],
    },
    Tool {
        program: "dumpcap",
        packages: &["wireshark-common"],
    },
];

/// What it measures too where it is there.
pub(crate) const BENCH_EXTRAS: &[Tool] = &[
    Tool {
        program: "iperf3",
        packages: &["iperf3"],
    },
    Tool {
        program: "netsniff-ng",
        packages: &["netsniff-ng"],
    },
    Tool {
        program: "xdpdump",
        packages: &["xdp-tools"],
    },
];

/// What reads capture files beside the agent, where it is there.
pub(crate) const ANALYZE_TOOLS: &[Tool] = &[
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
    Tool {
        program: "tcptrace",
        packages: &["tcptrace"],
    },
];

/// Installs those of `tools` that are lacking.
pub(crate) fn ensure_tools(tools: &[Tool]) -> Result<()> {
    let lacking: Vec<&Tool> = tools
        .iter()
        .filter(|tool| command::find(tool.program).is_none())
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let mut packages = Vec::new();
    for tool in &lacking {
        let package = tool
            .packages
            .iter()
            .find(|package| candidate(package).is_some());
        packages.push(*package.unwrap_or(&tool.packages[0]));
    }
    packages.dedup();
    install(&packages)?;
    match lacking
        .iter()
        .find(|tool| command::find(tool.program).is_none())
    {
        Some(tool) => bail!(
            "`{}` is still not in PATH; install it by hand",
            tool.program
        ),
        None => Ok(()),
    }
}

/// Whether this system has apt.
pub(crate) fn has_apt() -> bool {
    command::find("apt-get").is_some()
}

/// Whether packages can be installed without asking for a password.
pub(crate) fn may_install() -> bool {
    has_apt() && (is_root() || command::succeeds(Command::new("sudo").args(["-n", "true"])))
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// The version of `package` that apt would install, if it knows one. Where it does not, its lists
/// may be missing: they are fetched, once.
pub(crate) fn candidate(package: &str) -> Option<String> {
    let known = || {
        let policy = command::output(
            Command::new("apt-cache")
                .args(["policy", package])
                .env("LC_ALL", "C"),
        );
        parse_candidate(&policy.ok()?).map(str::to_owned)
    };
    known().or_else(|| {
        if has_apt() && refresh().ok()? {
            known()
        } else {
            None
        }
    })
}

/// Brings the package lists up to date where that is allowed and was not done yet. Lists that are there
/// may be months old, and name versions that are too old or no longer to be had.
pub(crate) fn freshen() {
    if has_apt()
        && let Err(error) = refresh()
    {
        command::say(format_args!(
            "going on with the package lists that are there: {error:#}"
        ));
    }
}

/// Installs `packages`, or fails with the command that would.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let by_hand = format!("apt-get install {}", packages.join(" "));
    if !has_apt() {
        bail!(
            "lacking what Debian has in {}, and this system has no apt; install the like by hand",
            packages.join(", ")
        );
    }
    if !may_install() {
        bail!("lacking packages, and no right to install them; run `sudo {by_hand}`");
    }
    command::say(format_args!("installing {}", packages.join(" ")));
    let mut arguments = vec![
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
        "--no-remove",
    ];
    arguments.extend(packages);
    let first = apt(&arguments);
    if first.is_err() && refresh()? {
        return apt(&arguments);
    }
    first.with_context(|| format!("cannot install packages; try `{by_hand}` by hand"))
}

/// Fetches the package lists; false if that was done before or is not allowed.
fn refresh() -> Result<bool> {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) || !may_install() {
        return Ok(false);
    }
    command::say("fetching package lists");
    apt(&["update", "-q"])?;
    Ok(true)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut apt = if is_root() {
        Command::new("apt-get")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    };
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    // For invoke-rc.d(8) of a machine without systemd: services of the packages are not started.
    apt.env("RUNLEVEL", "1");
    // What apt tells is no result of ours.
    apt.stdin(std::process::Stdio::null())
        .stdout(std::io::stderr());
    command::run(&mut apt)
}

fn parse_candidate(policy: &str) -> Option<&str> {
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"))?
        .trim();
    (version != "(none)").then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_read_from_the_policy() {
        let policy = "llvm-22-dev:\n  Installed: (none)\n  Candidate: 1:22.1.8-1~deb12u1\n";
        assert_eq!(parse_candidate(policy), Some("1:22.1.8-1~deb12u1"));
    }

    #[test]
    fn no_candidate_is_no_version() {
        assert_eq!(
            parse_candidate("rustc:\n  Installed: (none)\n  Candidate: (none)\n"),
            None
        );
        assert_eq!(parse_candidate(""), None);
    }

    #[test]
    fn every_tool_names_a_package() {
        let lists = [TEST_TOOLS, BENCH_TOOLS, BENCH_EXTRAS, ANALYZE_TOOLS];
        assert!(lists.concat().iter().all(|tool| !tool.packages.is_empty()));
    }
}
