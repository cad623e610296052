//! The virtual machine: an initramfs of busybox, the host's network tools, the kernel's modules and
//! the agent with its shared libraries, booted by qemu without hardware help. Its console and its
//! results come out of two serial ports into files, which [`super::verdict`] reads.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{
    kernel::Kernel,
    modules::Module,
    tasks,
    tools::{BPFTOOL, BUSYBOX, QEMU, Tools},
};
use crate::{command, workspace};

/// The first process.
const GUEST: &str = include_str!("guest/init.sh");

/// What it sources.
const SCRIPTS: &[(&str, &str)] = &[
    ("guest/common.sh", include_str!("guest/common.sh")),
    ("guest/captures.sh", include_str!("guest/captures.sh")),
    ("guest/others.sh", include_str!("guest/others.sh")),
    ("guest/clock.sh", include_str!("guest/clock.sh")),
    ("guest/daemon.sh", include_str!("guest/daemon.sh")),
];

/// The host's programs that the guest uses besides those of busybox.
const PROGRAMS: &[&str] = &["ip", "tc", BPFTOOL];

/// How long a guest may take. Without hardware help a second becomes ten.
const TIMEOUT: Duration = Duration::from_secs(600);

/// All that the emulation can do but `cmpxchg16b`: qemu 7.2 now and then leaves wrong flags behind it,
/// on which Linux 6.12 dies in its allocator. And no five levels of page tables, which cost time.
pub(super) const CPU: &str = "max,cx16=off,la57=off";

/// Memory of the guest in MiB: the initramfs in it, the rings, and room.
const MEMORY: &str = "768";

/// A machine that is ready to boot, all in one directory.
pub(super) struct Machine<'a> {
    tools: &'a Tools,
    directory: PathBuf,
    image: PathBuf,
}

/// What goes into every guest, whatever its kernel.
pub(super) struct Load {
    /// The agent under test.
    pub(super) agent: PathBuf,
    /// The program that sends frames from a file.
    pub(super) frames_program: PathBuf,
    /// The file.
    pub(super) frames: PathBuf,
}

/// How a machine ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// By itself.
    PoweredOff,
    /// It was stopped.
    TimedOut,
}

/// Packs the initramfs.
pub(super) fn build<'a>(
    tools: &'a Tools,
    name: &str,
    kernel: &Kernel,
    load: &Load,
) -> Result<Machine<'a>> {
    let directory = workspace::target_dir()?.join("vm-test").join(name);
    if directory.exists() {
        fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    }
    let root = Root {
        tools,
        path: directory.join("root"),
    };
    root.directories(&["bin", "dev", "guest", "modules", "proc", "sys"])?;
    root.busybox()?;
    for program in PROGRAMS {
        root.program(&tools.path(program)?, program)?;
    }
    root.program(&load.agent, "capture-agent")?;
    root.program(&load.frames_program, "frames")?;
    root.copy(&load.frames, Path::new("frames.pcap"))?;
    root.modules(&kernel.modules)?;
    for (name, script) in SCRIPTS {
        root.write(name, script)?;
    }
    tasks::write(&root.path.join("tasks"))?;
    root.write("init", GUEST)?;
    root.executable("init")?;
    root.pack(&directory.join("initramfs"))?;
    Ok(Machine {
        tools,
        directory,
        image: kernel.image.clone(),
    })
}

impl Machine<'_> {
    /// Where its files are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the guest and its kernel printed.
    pub(super) fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// The archive of all that the guest wrote.
    pub(super) fn results(&self) -> PathBuf {
        self.directory.join("results.tar.gz")
    }

    /// Runs the machine to its end.
    pub(super) fn boot(&self) -> Result<Ended> {
        let serial = |file: &Path| format!("file:{}", file.display());
        let mut qemu = self.tools.command(self.tools.path(QEMU)?);
        qemu.args(["-accel", "tcg", "-cpu", CPU, "-smp", "2", "-m", MEMORY])
            .args(["-display", "none", "-monitor", "none", "-nic", "none"])
            .args(["-no-reboot", "-serial"])
            .arg(serial(&self.console()))
            .arg("-serial")
            .arg(serial(&self.results()))
            .arg("-kernel")
            .arg(&self.image)
            .arg("-initrd")
            .arg(self.directory.join("initramfs"))
            .args([
                "-append",
                "console=ttyS0 rdinit=/init panic=-1 quiet loglevel=4",
            ])
            .stdin(Stdio::null());
        let child = qemu
            .spawn()
            .with_context(|| format!("cannot start `{}`", command::line(&qemu)))?;
        wait(child, &command::line(&qemu), TIMEOUT)
    }

    /// Removes all its files.
    pub(super) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.directory)
            .with_context(|| format!("cannot remove {}", self.directory.display()))
    }
}

/// Waits for the end of an emulator, whose command is `line`, and makes one after this time.
pub(super) fn wait(mut emulator: Child, line: &str, timeout: Duration) -> Result<Ended> {
    let end = Instant::now() + timeout;
    loop {
        if let Some(status) = emulator.try_wait()? {
            if !status.success() {
                bail!("`{line}` failed ({status}); its own words are above");
            }
            return Ok(Ended::PoweredOff);
        }
        if Instant::now() > end {
            emulator.kill()?;
            emulator.wait()?;
            return Ok(Ended::TimedOut);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// The root directory of the guest, under construction.
struct Root<'a> {
    tools: &'a Tools,
    path: PathBuf,
}

impl Root<'_> {
    fn directories(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let path = self.path.join(name);
            fs::create_dir_all(&path)
                .with_context(|| format!("cannot create {}", path.display()))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    fn executable(&self, name: &str) -> Result<()> {
        fs::set_permissions(self.path.join(name), fs::Permissions::from_mode(0o755))?;
        Ok(())
    }

    fn copy(&self, from: &Path, name: &Path) -> Result<()> {
        let to = self.path.join(name.strip_prefix("/").unwrap_or(name));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, &to)
            .map(drop)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
    }

    /// busybox, and a name for each of its programs.
    fn busybox(&self) -> Result<()> {
        let busybox = self.tools.path(BUSYBOX)?;
        if !libraries(self.tools, &busybox)?.is_empty() {
            bail!("`busybox` needs shared libraries; install the package busybox-static");
        }
        self.copy(&busybox, Path::new("bin/busybox"))?;
        for name in command::output(Command::new(&busybox).arg("--list"))?.lines() {
            // The host's own are put into the place of these.
            if name != "busybox" && !PROGRAMS.contains(&name) {
                symlink("busybox", self.path.join("bin").join(name))?;
            }
        }
        Ok(())
    }

    /// A program of the host with its shared libraries.
    fn program(&self, path: &Path, name: &str) -> Result<()> {
        self.copy(path, &Path::new("bin").join(name))?;
        for library in libraries(self.tools, path)? {
            self.copy(&library, &self.tools.installed_path(&library))?;
        }
        Ok(())
    }

    /// The modules, and a file that names them in order.
    fn modules(&self, modules: &[Module]) -> Result<()> {
        let mut order = String::new();
        for Module { name, image } in modules {
            self.write(&format!("modules/{name}.ko"), image)?;
            order.push_str(name);
            order.push_str(".ko\n");
        }
        self.write("modules/order", &order)
    }

    /// Packs all into an archive as the kernel reads it.
    fn pack(&self, archive: &Path) -> Result<()> {
        let mut names = vec![PathBuf::from(".")];
        list(&self.path, Path::new(""), &mut names)?;
        let mut cpio = Command::new(self.tools.path(BUSYBOX)?);
        cpio.args(["cpio", "-o", "-H", "newc", "-F"])
            .arg(archive)
            .current_dir(&self.path)
            .stdin(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = cpio
            .spawn()
            .with_context(|| format!("cannot start `{}`", command::line(&cpio)))?;
        let mut stdin = child
            .stdin
            .take()
            .context("no way to tell cpio the files")?;
        for name in names {
            writeln!(stdin, "{}", name.display())?;
        }
        drop(stdin);
        let status = child.wait()?;
        if !status.success() {
            bail!("`{}` failed ({status})", command::line(&cpio));
        }
        Ok(())
    }
}

/// The names of all below `root/prefix`, directories before what is in them.
fn list(root: &Path, prefix: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(root.join(prefix))? {
        let entry = entry?;
        let name = prefix.join(entry.file_name());
        names.push(name.clone());
        if entry.file_type()?.is_dir() {
            list(root, &name, names)?;
        }
    }
    Ok(())
}

/// The shared libraries of a program, the loader included; none where it is static.
fn libraries(tools: &Tools, program: &Path) -> Result<BTreeSet<PathBuf>> {
    let ldd = tools
        .command("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .output()
        .context("cannot start `ldd`")?;
    let output = String::from_utf8_lossy(&ldd.stdout);
    if let Some(missing) = output.lines().find(|line| line.contains("not found")) {
        bail!("{} lacks a library: {}", program.display(), missing.trim());
    }
    Ok(parse_libraries(&output))
}

/// The paths in the output of ldd: `libc.so.6 => /lib/libc.so.6 (0x…)`, or the loader's alone.
fn parse_libraries(output: &str) -> BTreeSet<PathBuf> {
    output
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with('/'))
                .map(PathBuf::from)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let output = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<_> = parse_libraries(output).into_iter().collect();
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert!(parse_libraries("\tnot a dynamic executable\n").is_empty());
    }
}
