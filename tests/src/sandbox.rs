//! A machine to install something on: the real one, seen from a mount namespace in which `/etc` is a copy and
//! `/var/lib`, `/run` and `/usr/local/bin` are empty. What is done there is gone with it. Users and files that an
//! installed capture-agent may have left on the real machine are not there. Its processes are a namespace of their
//! own, and end with it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::{agent, netns::Netns, output};

/// Makes the namespace, says so, and stays in it.
const SETUP: &str = r#"
set -e
base=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$base"
chmod 755 "$base"
mkdir "$base/etc" "$base/bin" "$base/work"
chmod 777 "$base/work"
cp -a /etc/. "$base/etc"
mount --bind "$base/etc" /etc
for file in passwd group shadow gshadow; do
    [ ! -e /etc/$file ] || sed -i '/^capture-agent:/d' /etc/$file
done
rm -rf /etc/capture-agent /etc/sysusers.d /etc/tmpfiles.d
mkdir -p /etc/systemd/system
rm -f /etc/systemd/system/capture-agent.service
# Neither are users and files of other packages made.
for place in /var/lib /run /usr/local/bin /usr/lib/sysusers.d /usr/lib/tmpfiles.d; do
    mount -t tmpfs -o mode=755 tmpfs $place
done
echo made
exec sleep infinity
"#;

/// A machine of its own, in a network namespace.
#[derive(Debug)]
pub struct Sandbox {
    /// The parent of the first process inside, which ends with it, and all others with that.
    holder: Child,
    /// The first process, as seen from outside.
    init: u32,
    base: TempDir,
}

impl Sandbox {
    /// Makes one.
    pub fn new(namespace: &Netns) -> Self {
        let base = tempfile::tempdir().expect("a directory");
        let mut command = namespace.command("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.args(["sh", "-c", SETUP, "sh"]).arg(base.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = command.spawn().expect("unshare starts");
        let stdout = holder.stdout.take().expect("it is piped");
        let mut line = String::new();
        let read = BufReader::new(stdout).read_line(&mut line);
        let made = read.is_ok() && line == "made\n";
        let id = holder.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let init = children.ok().and_then(|pids| pids.trim().parse().ok());
        let this = Self {
            holder,
            init: init.unwrap_or_default(),
            base,
        };
        assert!(made && this.init != 0, "no sandbox: {line:?}");
        this
    }

    /// Puts a script on the path, before all programs of the machine.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.see(&self.base.path().join("bin").join(name));
        fs::write(&path, format!("#!/bin/sh\n{script}")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    /// Lays a checkout with the agent under test in the working directory.
    pub fn check_out(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let work = self.see(&self.work());
        output(
            Command::new("cp")
                .arg("-r")
                .arg(root.join("deploy"))
                .arg(&work),
        );
        let built = work.join("target/dist");
        fs::create_dir_all(&built).expect("a directory");
        fs::copy(agent::binary(), built.join("capture-agent")).expect("a copy of the agent");
    }

    /// The working directory, as seen inside.
    pub fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    /// A path inside, as seen from outside.
    pub fn see(&self, inside: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.init));
        root.join(inside.strip_prefix("/").expect("an absolute path"))
    }

    /// A command that will run inside, in the working directory.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--mount",
            "--net",
            "--pid",
            "--target",
            &self.init.to_string(),
        ]);
        command.arg(format!("--wd={}", self.see(&self.work()).display()));
        command.arg(program);
        let path = format!(
            "{}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            self.base.path().display()
        );
        command.env("PATH", path);
        command
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
