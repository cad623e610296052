//! The image in a container of runc, with the rights, mounts and arguments that the DaemonSet of `deploy/kubernetes` gives
//! it. The runtime's own filter of calls, `RuntimeDefault`, is not among them: each runtime brings another.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{files::text, release::Release};
use crate::{
    command,
    packages::{self, Tool},
    workspace,
};

pub(super) const TOOLS: &[Tool] = &[
    Tool {
        program: "runc",
        packages: &["runc"],
    },
    Tool {
        program: "umoci",
        packages: &["umoci"],
    },
    Tool {
        program: "jq",
        packages: &["jq"],
    },
    Tool {
        program: "tcpdump",
        packages: &["tcpdump"],
    },
];

const SCRIPT: &str = include_str!("container.sh");

/// Runs it, captures in it, and ends it.
pub(super) fn check(release: &Release, image: &Path) -> Result<()> {
    ensure!(packages::is_root(), "running a container needs root");
    let place = release.work("container");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join("oci"))?;
    for directory in ["state", "socket"] {
        fs::create_dir(place.join(directory))?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(image).arg("-C").arg(place.join("oci"));
    command::run(&mut tar)?;
    let mut umoci = Command::new("umoci");
    umoci.current_dir(&place).args([
        "unpack",
        "--image",
        &format!("oci:{}", release.version),
        "bundle",
    ]);
    command::output(&mut umoci).context("umoci cannot unpack the image")?;
    let bundle = place.join("bundle");
    let path = bundle.join("config.json");
    let daemon_set = DaemonSet::read(&text("deploy/kubernetes/daemonset.yaml")?)?;
    let mut config = serde_json::from_str(&fs::read_to_string(&path)?)?;
    daemon_set.apply(&mut config, &place)?;
    fs::write(&path, serde_json::to_string_pretty(&config)?)?;
    let path = place.join("container.sh");
    fs::write(&path, SCRIPT)?;
    let mut script = Command::new("bash");
    script
        .arg(&path)
        .arg(&bundle)
        .arg(daemon_set.probe.join(" "));
    command::output(&mut script).map(drop)
}

/// What matters of the DaemonSet.
#[derive(Debug)]
struct DaemonSet {
    arguments: Vec<String>,
    capabilities: Vec<String>,
    /// Of the readiness.
    probe: Vec<String>,
}

impl DaemonSet {
    fn read(yaml: &str) -> Result<Self> {
        // Lists in brackets are JSON, and nothing else of the file is needed.
        let list = |key: &str| -> Result<Vec<String>> {
            let line = yaml
                .lines()
                .find_map(|line| line.trim_start().strip_prefix(key));
            let list = line.with_context(|| format!("the DaemonSet has no {key}"))?;
            serde_json::from_str(list).with_context(|| format!("{key} of the DaemonSet"))
        };
        for line in [
            "drop: [\"ALL\"]",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "runAsUser: 0",
        ] {
            ensure!(yaml.contains(line), "the DaemonSet does not say `{line}`");
        }
        Ok(Self {
            arguments: list("args:")?,
            capabilities: list("add:")?,
            probe: list("command:")?,
        })
    }

    /// Changes the configuration of a bundle as a runtime of containers does for such a pod.
    fn apply(&self, config: &mut Value, place: &Path) -> Result<()> {
        let program = config["process"]["args"][0].take();
        let mut arguments = vec![program];
        arguments.extend(self.arguments.iter().map(|word| json!(word)));
        config["process"]["args"] = json!(arguments);
        config["process"]["terminal"] = json!(false);
        config["process"]["noNewPrivileges"] = json!(true);
        let names = self.capabilities.iter().map(|name| format!("CAP_{name}"));
        let names: Vec<_> = names.collect();
        config["process"]["capabilities"] =
            json!({"bounding": names, "effective": names, "permitted": names});
        config["root"]["readonly"] = json!(true);
        let mounts = config["mounts"].as_array_mut();
        let mounts = mounts.context("the bundle has no mounts")?;
        // Of a volume that the image declares.
        mounts.retain(|mount| mount["destination"] != "/var/lib/capture-agent");
        let bind = |from: PathBuf, to: &str, mode: &str| json!({"type": "bind", "source": from, "destination": to, "options": ["bind", mode]});
        mounts.extend([
            bind(
                workspace::root().join("deploy/kubernetes"),
                "/etc/capture-agent",
                "ro",
            ),
            bind(place.join("state"), "/var/lib/capture-agent", "rw"),
            bind(place.join("socket"), "/run/capture-agent", "rw"),
            json!({"type": "tmpfs", "source": "tmpfs", "destination": "/tmp", "options": ["mode=1777", "size=64m"]}),
        ]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_has_what_the_daemon_set_grants() {
        let yaml = text("deploy/kubernetes/daemonset.yaml").expect("the DaemonSet");
        let daemon_set = DaemonSet::read(&yaml).expect("its lists");
        let mut config = json!({
            "process": {"args": ["/usr/bin/capture-agent", "daemon"], "terminal": true},
            "root": {"path": "rootfs"},
            "mounts": [{"destination": "/proc"}, {"destination": "/var/lib/capture-agent"}],
        });
        daemon_set
            .apply(&mut config, Path::new("/place"))
            .expect("a bundle");
        assert_eq!(config["process"]["args"][1], "daemon");
        assert_eq!(
            config["process"]["capabilities"]["effective"],
            json!(["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"])
        );
        assert_eq!(config["mounts"].as_array().map(Vec::len), Some(5));
        assert_eq!(daemon_set.probe[1], "quota");
        let open = yaml.replace("readOnlyRootFilesystem: true", "");
        assert!(DaemonSet::read(&open).is_err());
    }
}
