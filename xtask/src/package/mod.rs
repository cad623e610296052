//! Packages of a release: .deb, .rpm, tarball, OCI image, SBOM and checksums, in `target/package`. `portable` builds the
//! agent against an old C library, `contents` lays out the files, and a module for each kind packs them. Two builds of one
//! commit make the same files: times are those of the commit (`SOURCE_DATE_EPOCH`), and no path of this machine is in
//! them. `again` proves it.

mod again;
mod archive;
pub(crate) mod check;
pub(crate) mod cockpit;
mod container;
mod contents;
mod debian;
mod files;
mod glibc;
mod image;
mod make;
mod manual;
mod paths;
mod portable;
mod release;
mod rpm;
mod sbom;
mod target;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use self::{
    make::{Kind, Made, stripped},
    release::Release,
    target::{TARGETS, Target},
};
use crate::{command, results::Tally, workspace};

/// Arguments of `cargo xtask package`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these kinds
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    only: Vec<Kind>,
    /// Only this architecture, which is that of this machine; without it also the other one, if its standard library can be had
    #[arg(long, value_name = "ARCH", value_parser = TARGETS.map(|target| target.rust))]
    architecture: Option<String>,
    /// Pack this agent, built for this machine, in place of a portable one
    #[arg(long, value_name = "FILE", conflicts_with = "architecture")]
    agent: Option<PathBuf>,
    /// Check the packages too, as root: lintian, installation, man pages, completions, removal, the image in a container
    #[arg(long)]
    check: bool,
    /// Build the last commit a second time, in a clone at another path, and fail unless all files are equal
    #[arg(long, conflicts_with = "agent")]
    twice: bool,
}

/// `cargo xtask package`: prints the paths of what was made.
pub(crate) fn package(arguments: &Arguments) -> Result<()> {
    make::check_architecture(arguments.architecture.as_deref())?;
    if arguments.twice {
        again::check_tree()?;
    }
    let kinds = match arguments.only.as_slice() {
        [] => &Kind::ALL[..],
        only => only,
    };
    let directory = workspace::target_dir()?.join("package");
    let agents = match &arguments.agent {
        Some(agent) => vec![(Target::host()?, stripped(agent)?)],
        None => portable::agents(arguments.architecture.as_deref(), &directory.join("build"))?,
    };
    let (made, files) = make::all(&agents, kinds, &directory)?;
    for path in &files {
        println!("{}", path.display());
    }
    let mut tally = Tally::default();
    if arguments.check {
        for Made { release, files } in &made {
            check::package(release, files, &mut tally)?;
        }
        ensure!(tally.is_good(), "checks of the packages failed, see above");
    }
    if arguments.twice {
        again::compare(&directory, &files, &arguments.again())?;
        command::say("the second build is equal to the first");
    }
    Ok(())
}

impl Arguments {
    /// Those for a second build.
    fn again(&self) -> Vec<String> {
        let only = self
            .only
            .iter()
            .filter_map(clap::ValueEnum::to_possible_value);
        let only = only.map(|kind| format!("--only={}", kind.get_name()));
        let architecture = self.architecture.iter();
        only.chain(architecture.map(|name| format!("--architecture={name}")))
            .collect()
    }
}

/// A Debian package of this agent for a system with this version of the C library; of a portable build where the agent
/// needs a newer one.
pub(crate) fn debian(agent: &Path, glibc: &str, directory: &Path) -> Result<PathBuf> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let release = Release::new(Target::host()?, directory)?;
    let agent = if glibc::runs_with(agent, glibc)? {
        stripped(agent)?
    } else {
        let build = workspace::target_dir()?.join("package/build");
        portable::agents(Some(release.target.rust), &build)?
            .pop()
            .context("there is no portable agent for this machine")?
            .1
    };
    make::packages(&release, &[Kind::Deb], &agent, &agent)?
        .pop()
        .context("no package was made")
}
