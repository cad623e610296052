//! Debian's cloud kernels: the newest of a suite, fetched by apt with a configuration of its own,
//! unpacked into the project's cache, and the modules that a capture over veth needs, in the order
//! in which they load. What comes next is [`super::machine`].

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use crate::{command, packages, workspace};

/// A kernel that the agent is tested on, and the suite of Debian that has it.
pub(super) struct Suite {
    /// Major and minor version, the name of the kernel here.
    pub(super) version: &'static str,
    /// The suite.
    pub(super) name: &'static str,
}

/// The kernels, each with something that the one before lacks: the floor; multi-buffer XDP (5.18)
/// and no memory lock (5.11); TCX (6.6).
pub(super) const SUITES: &[Suite] = &[
    Suite {
        version: "5.10",
        name: "bullseye",
    },
    Suite {
        version: "6.1",
        name: "bookworm",
    },
    Suite {
        version: "6.12",
        name: "bookworm-backports",
    },
];

/// A kernel in the cache.
pub(super) struct Kernel {
    /// Package and version, for people.
    pub(super) name: String,
    /// The image to boot.
    pub(super) image: PathBuf,
    /// Modules in loading order, uncompressed.
    pub(super) modules: Vec<PathBuf>,
}

/// What depends on a suite's newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Modules that the guest needs; what these depend on comes along. `cls_matchall` is for a filter
/// of somebody else.
const MODULES: &[&str] = &["veth", "sch_ingress", "cls_bpf", "cls_matchall"];

/// The keys of all Debian suites, from the package of the same name.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// How long the newest kernel of a suite is taken to be the newest.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The newest kernel of a suite; from the cache where it was looked up within a day, or where it
/// cannot be looked up now.
pub(super) fn fetch(suite: &Suite) -> Result<Kernel> {
    let cache = workspace::cache_dir()?.join("kernels");
    // Names the directory of the newest kernel.
    let newest = cache.join(format!("{}.newest", suite.name));
    let known = fs::read_to_string(&newest)
        .ok()
        .filter(|name| cache.join(name).is_dir());
    let name = match known {
        Some(name) if is_fresh(&newest) => name,
        known => match (download(suite, &cache), known) {
            (Ok(name), _) => {
                fs::write(&newest, &name)
                    .with_context(|| format!("cannot write {}", newest.display()))?;
                name
            }
            (Err(error), Some(name)) => {
                command::say(format_args!(
                    "going on with {name} from the cache: {error:#}"
                ));
                name
            }
            (Err(error), None) => return Err(error),
        },
    };
    let directory = cache.join(&name);
    let image = only_entry(&directory.join("boot"), "vmlinuz-")?;
    let modules = modules(&only_entry(&directory.join("lib/modules"), "")?, MODULES)?;
    Ok(Kernel {
        name,
        image,
        modules,
    })
}

fn is_fresh(file: &Path) -> bool {
    fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| {
            SystemTime::now()
                .duration_since(modified)
                .is_ok_and(|age| age < FRESH)
        })
}

/// Brings the newest kernel of a suite into the cache; returns the name of its directory there.
fn download(suite: &Suite, cache: &Path) -> Result<String> {
    if !packages::has_apt() {
        bail!("kernels come by apt, which this system has not; run this on Debian");
    }
    if !Path::new(KEYRING).is_file() {
        packages::install(&["debian-archive-keyring"])?;
    }
    let private = Apt::new(suite)?;
    private.update()?;
    let package = private.newest_kernel()?;
    command::say(format_args!("downloading {package}"));
    let archive = private.download(&package)?;
    let name = archive
        .file_stem()
        .context("apt named no package file")?
        .to_string_lossy()
        .into_owned();
    let directory = cache.join(&name);
    if !directory.is_dir() {
        // Whole or not at all.
        let partial = cache.join(format!("{name}.part"));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)
            .with_context(|| format!("cannot create {}", partial.display()))?;
        command::run(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&archive)
                .arg(&partial),
        )?;
        fs::rename(&partial, &directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    private.remove();
    Ok(name)
}

/// apt with sources, lists and archives of its own: the system's are neither used nor changed.
struct Apt {
    directory: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(suite: &Suite) -> Result<Self> {
        let mirror = mirror()?;
        let directory = workspace::target_dir()?
            .join("vm-test/apt")
            .join(suite.name);
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create {}", part.display()))?;
        }
        let sources = directory.join("sources.list");
        let source = format!(
            "deb [arch=amd64 signed-by={KEYRING}] {mirror} {} main\n",
            suite.name
        );
        fs::write(&sources, source)
            .with_context(|| format!("cannot write {}", sources.display()))?;
        let path = |name: &str, part: &str| format!("{name}={}", directory.join(part).display());
        let options = vec![
            path("Dir::State::lists", "lists"),
            path("Dir::Cache", "cache"),
            path("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            "Dir::Etc::preferences=-".to_owned(),
            "Acquire::Languages=none".to_owned(),
            // Lists of other users of apt, such as software centres.
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false".to_owned(),
            // A suite that is no longer updated keeps its date.
            "Acquire::Check-Valid-Until=false".to_owned(),
            // The directory may be closed to apt's own user.
            "APT::Sandbox::User=root".to_owned(),
        ];
        Ok(Self { directory, options })
    }

    fn command(&self, program: &str) -> Command {
        let mut apt = Command::new(program);
        apt.current_dir(&self.directory).env("LC_ALL", "C");
        for option in &self.options {
            apt.args(["-o", option]);
        }
        apt
    }

    fn update(&self) -> Result<()> {
        command::output(
            self.command("apt-get")
                .args(["update", "-q", "--error-on=any"]),
        )
        .map(drop)
        .context("cannot fetch the package lists")
    }

    fn newest_kernel(&self) -> Result<String> {
        let records = command::output(self.command("apt-cache").args(["show", META_PACKAGE]))?;
        kernel_package(&records)
            .map(str::to_owned)
            .with_context(|| format!("{META_PACKAGE} names no kernel package"))
    }

    fn download(&self, package: &str) -> Result<PathBuf> {
        command::output(self.command("apt-get").args(["download", "-q", package]))?;
        only_entry(&self.directory, &format!("{package}_"))
    }

    fn remove(self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            command::say(format_args!(
                "cannot remove {}: {error}",
                self.directory.display()
            ));
        }
    }
}

/// The Debian mirror that this system's own sources name.
fn mirror() -> Result<String> {
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

/// The kernel that the meta package depends on, from its first record.
fn kernel_package(records: &str) -> Option<&str> {
    records
        .lines()
        .find_map(|line| line.strip_prefix("Depends: "))?
        .split([',', ' '])
        .find(|package| package.starts_with("linux-image-"))
}

/// The files of `wanted` and of all that they depend on, each after what it depends on. A module
/// that is built into the kernel has no file.
fn modules(tree: &Path, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let builtin = fs::read_to_string(tree.join("modules.builtin")).unwrap_or_default();
    let builtin: BTreeSet<String> = builtin
        .lines()
        .map(|path| module_name(Path::new(path)))
        .collect();
    let mut files = Vec::new();
    find_modules(&tree.join("kernel"), &mut files)?;
    let mut ordered = Vec::new();
    for name in wanted {
        add_module(name, &files, &builtin, &mut ordered)?;
    }
    Ok(ordered)
}

fn find_modules(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find_modules(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn add_module(
    name: &str,
    files: &[PathBuf],
    builtin: &BTreeSet<String>,
    ordered: &mut Vec<PathBuf>,
) -> Result<()> {
    if builtin.contains(name) || ordered.iter().any(|there| module_name(there) == name) {
        return Ok(());
    }
    let file = files
        .iter()
        .find(|file| module_name(file) == name)
        .with_context(|| format!("the kernel package has no module {name}"))?;
    let file = uncompressed(file)?;
    let image = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    for dependency in dependencies(&image) {
        add_module(&dependency, files, builtin, ordered)?;
    }
    ordered.push(file);
    Ok(())
}

/// `sch_ingress` of `kernel/net/sched/sch-ingress.ko.xz`.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

/// The module without compression, unpacked beside it where needed.
fn uncompressed(file: &Path) -> Result<PathBuf> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => Ok(file.to_owned()),
        Some("xz") => {
            command::run(Command::new("xz").args(["-dkf"]).arg(file))?;
            Ok(file.with_extension(""))
        }
        _ => bail!(
            "{} is compressed in a way that vm-test does not know",
            file.display()
        ),
    }
}

/// What a module says of itself in its `.modinfo`: `depends=a,b`. The package has no `modules.dep`,
/// which is made when a kernel is installed.
fn dependencies(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = image.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = &image[start + KEY.len()..];
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&value[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

/// The entry of `directory` whose name begins with `prefix`.
fn only_entry(directory: &Path, prefix: &str) -> Result<PathBuf> {
    fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .with_context(|| format!("no {prefix}… in {}", directory.display()))
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
    fn the_newest_kernel_is_what_the_meta_package_needs() {
        let records = "Package: linux-image-cloud-amd64\nVersion: 6.1.176-1\n\
                       Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n";
        assert_eq!(
            kernel_package(records),
            Some("linux-image-6.1.0-50-cloud-amd64")
        );
        assert_eq!(kernel_package("Package: other\n"), None);
    }

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(
            dependencies(b"\x7fELF..\0license=GPL\0depends=nf-conntrack,libcrc32c\0name=x\0"),
            ["nf_conntrack", "libcrc32c"]
        );
        assert!(dependencies(b"\x7fELF\0depends=\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }

    #[test]
    fn modules_are_known_by_their_names() {
        assert_eq!(module_name(Path::new("kernel/net/sch-a.ko.xz")), "sch_a");
        assert_eq!(module_name(Path::new("veth.ko")), "veth");
    }
}
