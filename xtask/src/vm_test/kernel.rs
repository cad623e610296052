//! The kernels that the agent is tested on: Debian's cloud kernels, the newest of a suite, unpacked into
//! the project's cache, and the kernel that runs here. [`super::modules`] finds what the guest needs of
//! one; what comes next is [`super::machine`].

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};

use super::{
    apt::Apt,
    modules::{self, Module},
};
use crate::{command, workspace};

/// A kernel that can be chosen.
pub(super) struct Choice {
    /// Its name here: major and minor version, or what is always another version.
    pub(super) name: &'static str,
    source: Source,
}

enum Source {
    /// The newest cloud kernel of a suite of Debian.
    Suite(&'static str),
    /// The running kernel.
    Here,
}

/// All kernels, each with something that the one before lacks: the floor; multi-buffer XDP (5.18) and
/// no memory lock (5.11); TCX (6.6); whatever is new; and whatever this machine has.
pub(super) const KERNELS: &[Choice] = &[
    Choice {
        name: "5.10",
        source: Source::Suite("bullseye"),
    },
    Choice {
        name: "6.1",
        source: Source::Suite("bookworm"),
    },
    Choice {
        name: "6.12",
        source: Source::Suite("bookworm-backports"),
    },
    Choice {
        name: "sid",
        source: Source::Suite("sid"),
    },
    Choice {
        name: "host",
        source: Source::Here,
    },
];

/// A kernel, ready to be booted.
pub(super) struct Kernel {
    /// Package and version, for people.
    pub(super) name: String,
    /// The image to boot.
    pub(super) image: PathBuf,
    /// Modules in loading order.
    pub(super) modules: Vec<Module>,
}

impl Choice {
    /// Whether not every machine has it.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self.source, Source::Here)
    }

    /// The kernel's files.
    pub(super) fn fetch(&self) -> Result<Kernel> {
        match self.source {
            Source::Suite(suite) => of_suite(suite)
                .with_context(|| format!("cannot get the {} kernel of Debian {suite}", self.name)),
            Source::Here => {
                let release = fs::read_to_string("/proc/sys/kernel/osrelease")
                    .context("cannot read the running kernel's release")?;
                installed(Path::new("/"), release.trim())
            }
        }
    }
}

/// What depends on a suite's newest cloud kernel.
const META_PACKAGE: &str = "linux-image-cloud-amd64";

/// The packages that hold parts of a kernel. Newer suites have them apart.
const PARTS: &[&str] = &["linux-image-", "linux-binary-", "linux-modules-"];

/// How long the newest kernel of a suite is taken to be the newest.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The newest kernel of a suite; from the cache where it was looked up within a day, or where it
/// cannot be looked up now.
fn of_suite(suite: &str) -> Result<Kernel> {
    let cache = workspace::cache_dir()?.join("kernels");
    // Names the directory of the newest kernel.
    let newest = cache.join(format!("{suite}.newest"));
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
    let trees = ["lib/modules", "usr/lib/modules"].map(|trees| directory.join(trees));
    let tree = only_entry(
        trees
            .iter()
            .find(|trees| trees.is_dir())
            .unwrap_or(&trees[0]),
        "",
    )?;
    let image = only_entry(&tree, "vmlinuz")
        .or_else(|_| only_entry(&directory.join("boot"), "vmlinuz-"))?;
    Ok(Kernel {
        name,
        image,
        modules: modules::needed(&tree)?,
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
fn download(suite: &str, cache: &Path) -> Result<String> {
    let apt = Apt::of_suite(suite)?;
    let meta = apt.show(META_PACKAGE)?;
    let package = parts(&meta)
        .next()
        .with_context(|| format!("{META_PACKAGE} names no kernel package"))?;
    let record = apt.show(package)?;
    let version = field(&record, "Version").context("the kernel package has no version")?;
    let name = format!("{package}_{version}");
    let directory = cache.join(&name);
    if !directory.is_dir() {
        command::say(format_args!("downloading {package}"));
        let packages: Vec<&str> = std::iter::once(package).chain(parts(&record)).collect();
        apt.unpack(&packages, &directory)?;
    }
    apt.remove();
    Ok(name)
}

/// The packages with parts of a kernel that the first of some records depends on.
fn parts(records: &str) -> impl Iterator<Item = &str> {
    field(records, "Depends")
        .unwrap_or_default()
        .split([',', ' '])
        .filter(|package| PARTS.iter().any(|part| package.starts_with(part)))
}

/// A field of the first record.
fn field<'a>(records: &'a str, name: &str) -> Option<&'a str> {
    records
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The kernel of a release that is installed below `root`.
fn installed(root: &Path, release: &str) -> Result<Kernel> {
    let tree = root.join("lib/modules").join(release);
    let images = [
        root.join(format!("boot/vmlinuz-{release}")),
        tree.join("vmlinuz"),
    ];
    let Some(image) = images.iter().find(|image| fs::File::open(image).is_ok()) else {
        bail!(
            "the image of the running kernel {release} cannot be read: there is none at {} or {}",
            images[0].display(),
            images[1].display()
        );
    };
    Ok(Kernel {
        name: format!("{release} of this machine"),
        image: image.clone(),
        modules: modules::needed(&tree)?,
    })
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
    fn the_newest_kernel_is_what_the_meta_package_needs() {
        let records = "Package: linux-image-cloud-amd64\nVersion: 6.1.176-1\n\
                       Depends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n";
        let found: Vec<_> = parts(records).collect();
        assert_eq!(found, ["linux-image-6.1.0-50-cloud-amd64"]);
        assert_eq!(field(records, "Version"), Some("6.1.176-1"));
        assert_eq!(parts("Package: other\n").count(), 0);
    }

    #[test]
    fn a_kernel_in_several_packages_is_put_together() {
        let records = "Package: linux-image-7.2-cloud-amd64\n\
                       Depends: dracut | linux-initramfs-tool, linux-base-7.2-cloud-amd64 (= 7.2-1), \
                       linux-binary-7.2-cloud-amd64 (= 7.2-1), linux-modules-7.2-cloud-amd64 (= 7.2-1)\n";
        let found: Vec<_> = parts(records).collect();
        assert_eq!(
            found,
            [
                "linux-binary-7.2-cloud-amd64",
                "linux-modules-7.2-cloud-amd64"
            ]
        );
    }

    #[test]
    fn a_kernel_that_is_not_installed_is_refused_in_one_sentence() {
        let error = installed(Path::new("/nonexistent"), "9.9")
            .map(drop)
            .expect_err("none");
        let text = format!("{error:#}");
        assert!(text.contains("9.9 cannot be read"), "{text}");
        assert!(!text.contains('\n'));
    }
}
