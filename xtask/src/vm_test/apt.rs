//! apt for what must not touch this system: package lists and archives of its own, or an answer to what
//! is installed that leaves some packages out. [`super::kernel`] fetches the kernels of other suites by it,
//! [`super::tools`] the programs that cannot be installed beside what is there; [`super::system`] asks it for the mirror.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{command, packages, workspace};

/// The keys of all Debian suites, from the package of the same name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// What dpkg knows of the packages that are installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// apt with sources, lists and archives of its own: the system's are neither used nor changed.
pub(super) struct Apt {
    directory: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Sources and lists of one suite of Debian, from the mirror that this system uses.
    pub(super) fn of_suite(suite: &str) -> Result<Self> {
        if !packages::has_apt() {
            bail!("kernels come by apt, which this system has not; run this on Debian");
        }
        let keyring = keyring()?;
        let mirror = mirror()?;
        let mut apt = Self::new(suite)?;
        let source = format!("deb [arch=amd64 signed-by={keyring}] {mirror} {suite} main\n");
        apt.write("sources.list", &source)?;
        apt.directory("lists/partial")?;
        apt.set("Dir::State::lists", "lists");
        apt.set("Dir::Etc::sourcelist", "sources.list");
        apt.options.extend(
            [
                "Dir::Etc::sourceparts=-",
                "Dir::Etc::preferencesparts=-",
                "Dir::Etc::preferences=-",
                "Acquire::Languages=none",
                // Lists of other users of apt, such as software centres.
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
                "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false",
                // A suite that is no longer updated keeps its date.
                "Acquire::Check-Valid-Until=false",
            ]
            .map(str::to_owned),
        );
        apt.run("apt-get", &["update", "-q", "--error-on=any"])
            .context("cannot fetch the package lists")?;
        Ok(apt)
    }

    /// The system's own sources and lists, for packages that are to be unpacked and not installed: those
    /// whose names begin with `without` are taken not to be there, so that they are in nobody's way.
    pub(super) fn of_system(without: &str) -> Result<Self> {
        if !packages::has_apt() {
            bail!("there is no apt to fetch it by");
        }
        packages::freshen();
        let mut apt = Self::new("system")?;
        let status = fs::read_to_string(STATUS).with_context(|| format!("cannot read {STATUS}"))?;
        apt.write("status", &leave_out(&status, without))?;
        apt.set("Dir::State::status", "status");
        Ok(apt)
    }

    fn new(name: &str) -> Result<Self> {
        let directory = workspace::target_dir()?.join("vm-test/apt").join(name);
        let mut apt = Self {
            directory,
            options: Vec::new(),
        };
        apt.directory("cache/archives/partial")?;
        apt.set("Dir::Cache", "cache");
        // The directory may be closed to apt's own user.
        apt.options.push("APT::Sandbox::User=root".to_owned());
        // The lock is that of installing, which this is not.
        apt.options.push("Debug::NoLocking=1".to_owned());
        Ok(apt)
    }

    fn directory(&self, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// An option whose value is a file or directory of our own.
    fn set(&mut self, option: &str, name: &str) {
        let value = self.directory.join(name);
        self.options.push(format!("{option}={}", value.display()));
    }

    /// The output of `apt-get`, `apt-cache`. An error is in apt's words, without our options.
    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut apt = Command::new(program);
        apt.current_dir(&self.directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for option in &self.options {
            apt.args(["-o", option]);
        }
        let done = apt
            .args(arguments)
            .output()
            .with_context(|| format!("cannot start `{program}`"))?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr);
            let reason = words.lines().find(|line| line.starts_with("E: "));
            bail!(
                "`{program} {}` says: {}",
                arguments[0],
                reason.unwrap_or(words.trim())
            );
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// What apt knows of a package, newest version first.
    pub(super) fn show(&self, package: &str) -> Result<String> {
        self.run("apt-cache", &["show", package])
    }

    /// Fetches packages alone and unpacks them into `to`.
    pub(super) fn unpack(&self, packages: &[&str], to: &Path) -> Result<()> {
        self.run("apt-get", &[&["download", "-q"], packages].concat())?;
        extract(&self.directory, to)
    }

    /// Fetches packages with all that they need and this system lacks, and unpacks them into `to`.
    pub(super) fn unpack_with_needs(&self, packages: &[&str], to: &Path) -> Result<()> {
        let install = [
            "install",
            "-y",
            "-q",
            "--download-only",
            "--no-install-recommends",
        ];
        self.run("apt-get", &[&install, packages].concat())?;
        extract(&self.directory.join("cache/archives"), to)
    }

    /// Removes all its files.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            command::say(format_args!(
                "cannot remove {}: {error}",
                self.directory.display()
            ));
        }
    }
}

/// Unpacks all packages of a directory into `to`, which is there afterwards whole or not at all.
fn extract(archives: &Path, to: &Path) -> Result<()> {
    let partial = to.with_added_extension("part");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    for entry in fs::read_dir(archives)? {
        let archive = entry?.path();
        if archive
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            let mut dpkg = Command::new("dpkg-deb");
            command::run(dpkg.arg("--extract").arg(&archive).arg(&partial))?;
        }
    }
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::rename(&partial, to).with_context(|| format!("cannot create {}", to.display()))
}

/// A status file of dpkg without the packages whose names begin with `prefix`.
fn leave_out(status: &str, prefix: &str) -> String {
    let mut left = String::with_capacity(status.len());
    for paragraph in status.split("\n\n") {
        let name = paragraph.trim_start().strip_prefix("Package: ");
        if !name.is_some_and(|name| name.starts_with(prefix)) {
            left.push_str(paragraph);
            left.push_str("\n\n");
        }
    }
    left
}

/// The keys of Debian, installed where they are lacking.
pub(super) fn keyring() -> Result<&'static str> {
    if !Path::new(KEYRING).is_file() {
        packages::install(&["debian-archive-keyring"])?;
    }
    Ok(KEYRING)
}

/// The Debian mirror that this system's own sources name.
pub(super) fn mirror() -> Result<String> {
    let targets = command::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    debian_mirror(&targets).map(str::to_owned).context(
        "the system's apt sources name no Debian mirror, so there is none to take kernels from; \
         run this on Debian",
    )
}

/// The first address whose path ends in `debian`: security, ports and others have paths of their own.
fn debian_mirror(addresses: &str) -> Option<&str> {
    addresses
        .lines()
        .map(str::trim)
        .find(|address| address.trim_end_matches('/').ends_with("/debian"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_that_of_the_distribution() {
        let addresses = "http://mirror.example/debian-security/\n\
                         http://other.example/tools/\nhttp://mirror.example/debian/\n";
        assert_eq!(
            debian_mirror(addresses),
            Some("http://mirror.example/debian/")
        );
        assert_eq!(debian_mirror("http://mirror.example/ubuntu/\n"), None);
    }

    #[test]
    fn packages_are_left_out_of_the_status() {
        let status = "Package: qemu-utils\nStatus: a\n\nPackage: qmail\nStatus: b\n\n";
        let left = leave_out(status, "qemu-");
        assert!(!left.contains("qemu"), "{left}");
        assert!(left.contains("Package: qmail\nStatus: b\n"), "{left}");
    }
}
