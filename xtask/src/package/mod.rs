//! Packages of a release: .deb, .rpm, tarball, OCI image, SBOM and checksums, in `target/package`. `portable` builds the
//! agent against an old C library, `contents` lays out the files, and a module for each kind packs them. Two runs of one
//! commit make the same files: times are those of the commit (`SOURCE_DATE_EPOCH`), and no path of this machine is in
//! them.

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
    make::{Kind, speaking, stripped},
    release::Release,
    target::{TARGETS, Target},
};
use crate::{results::Tally, workspace};

/// Arguments of `cargo xtask package`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these kinds
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    only: Vec<Kind>,
    /// Only this architecture; without it also the other one, if its standard library can be had
    #[arg(long, value_name = "ARCH", value_parser = TARGETS.map(|target| target.rust))]
    architecture: Option<String>,
    /// Pack this agent, built for this machine, in place of a portable one
    #[arg(long, value_name = "FILE", conflicts_with = "architecture")]
    agent: Option<PathBuf>,
    /// Check the packages too, as root: lintian, installation, man pages, completions, removal, the image in a container
    #[arg(long)]
    check: bool,
}

/// `cargo xtask package`: prints the paths of what was made.
pub(crate) fn package(arguments: &Arguments) -> Result<()> {
    let kinds = match arguments.only.as_slice() {
        [] => &[Kind::Deb, Kind::Rpm, Kind::Tar, Kind::Image, Kind::Sbom][..],
        only => only,
    };
    let directory = workspace::target_dir()?.join("package");
    let agents = match &arguments.agent {
        Some(agent) => vec![(Target::host()?, stripped(agent)?)],
        None => portable::agents(arguments.architecture.as_deref(), &directory.join("build"))?,
    };
    let speaking = speaking(&agents)?;
    let mut made = Vec::new();
    for (target, agent) in &agents {
        let release = Release::new(*target, &directory)?;
        let files = make::packages(&release, kinds, agent, speaking)?;
        if arguments.check {
            let mut tally = Tally::default();
            check::package(&release, &files, &mut tally)?;
            ensure!(tally.is_good(), "checks of the packages failed, see above");
        }
        made.extend(files);
    }
    made.push(archive::checksums(&made)?);
    for path in made {
        println!("{}", path.display());
    }
    Ok(())
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
