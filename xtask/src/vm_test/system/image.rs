//! The disk of a system: Debian's packages by mmdebstrap, in the project's cache until the list of packages or what
//! finishes them changes.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash as _, Hasher as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::super::apt;
use crate::{
    command,
    packages::{self, Tool},
    run, workspace,
};

const TOOLS: &[Tool] = &[
    Tool {
        program: "mmdebstrap",
        packages: &["mmdebstrap"],
    },
    Tool {
        program: "mke2fs",
        packages: &["e2fsprogs"],
    },
];

/// Beyond the essential packages: systemd as on any server, what the traffic needs, and what the README names.
const PACKAGES: &str = "systemd,systemd-sysv,udev,dbus,kmod,sudo,iproute2,iputils-ping,tshark,prometheus,\
                        linux-image-cloud-amd64";

/// Most of a documentation, translations and of the console of Prometheus, which is half of the disk.
const LEFT_OUT: [&str; 4] = [
    "/usr/share/doc/*",
    "/usr/share/javascript/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
];

/// What finishes the root.
const FINISH: &str = include_str!("../guest/system/root.sh");

/// The size of the disk, most of which is free.
const SIZE: &str = "2G";

/// The files of a system that boots.
pub(super) struct Image {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

/// The system of a suite, from the cache if it is there.
pub(super) fn ensure(suite: &str) -> Result<Image> {
    let systems = workspace::cache_dir()?.join("systems");
    let name = format!("{suite}-{:016x}", digest());
    let directory = systems.join(&name);
    if !directory.is_dir() {
        fs::create_dir_all(&systems)
            .with_context(|| format!("cannot create {}", systems.display()))?;
        make(suite, &systems, &name)
            .with_context(|| format!("cannot make a system of Debian {suite}"))?;
        forget_others(&systems, suite, &name)?;
    }
    Ok(Image {
        disk: directory.join("disk.img"),
        kernel: directory.join("kernel"),
        initrd: directory.join("initrd"),
    })
}

/// Of all that the disk is made from, but for the versions of the packages.
fn digest() -> u64 {
    let mut hasher = DefaultHasher::new();
    (PACKAGES, LEFT_OUT, FINISH, SIZE).hash(&mut hasher);
    hasher.finish()
}

/// Makes it beside its place, and then renames it.
fn make(suite: &str, systems: &Path, name: &str) -> Result<()> {
    packages::ensure_tools(TOOLS)?;
    let keyring = apt::keyring()?;
    command::say(format_args!(
        "making a system of Debian {suite}, once, into {}",
        systems.display()
    ));
    let partial = systems.join(format!("{name}.part"));
    remove(&partial)?;
    fs::create_dir(&partial)?;
    let finish = partial.join("finish");
    fs::write(&finish, FINISH)?;
    fs::set_permissions(&finish, fs::Permissions::from_mode(0o755))?;
    let root = partial.join("root");
    let mut bootstrap = run::as_root(Path::new("mmdebstrap"));
    bootstrap
        .args([
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            "--format=directory",
        ])
        .arg(format!("--include={PACKAGES}"))
        .arg(format!("--keyring={keyring}"))
        .arg(format!("--customize-hook={}", finish.display()))
        .args([
            "--aptopt=Acquire::Languages \"none\"",
            "--dpkgopt=force-unsafe-io",
        ]);
    for path in LEFT_OUT {
        bootstrap.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    bootstrap.arg(suite).arg(&root).arg(apt::mirror()?);
    quietly(&mut bootstrap)?;
    for (kind, place) in [("vmlinuz-", "kernel"), ("initrd.img-", "initrd")] {
        fs::copy(boot_file(&root, kind)?, partial.join(place))?;
    }
    let mut disk = run::as_root(Path::new("mke2fs"));
    disk.args(["-q", "-t", "ext4", "-d"])
        .arg(&root)
        .arg(partial.join("disk.img"))
        .arg(SIZE);
    quietly(&mut disk)?;
    remove(&root)?;
    let directory = systems.join(name);
    fs::rename(&partial, &directory)
        .with_context(|| format!("cannot create {}", directory.display()))
}

/// Runs a tool whose words matter only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    command::output(command.stdin(Stdio::null()).env("LC_ALL", "C")).map(drop)
}

/// The kernel or its initrd; there is one.
fn boot_file(root: &Path, start: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(root.join("boot"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(start) {
            return Ok(entry.path());
        }
    }
    bail!("its packages brought no {start}*")
}

/// Removes what root may own.
fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        let mut rm = run::as_root(Path::new("rm"));
        command::run(rm.args(["-rf", "--one-file-system"]).arg(path))?;
    }
    Ok(())
}

/// Removes the suite's systems of other lists of packages.
fn forget_others(systems: &Path, suite: &str, name: &str) -> Result<()> {
    for entry in fs::read_dir(systems)? {
        let entry = entry?;
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(&format!("{suite}-")) && other != name {
            remove(&entry.path())?;
        }
    }
    Ok(())
}
