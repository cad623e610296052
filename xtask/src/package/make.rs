//! Makes the packages of a release, kind by kind.

use std::{
    env::consts::ARCH,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    archive,
    contents::{Contents, Layout},
    debian, image,
    release::Release,
    rpm, sbom,
    target::Target,
};
use crate::{command, workspace};

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    Deb,
    Rpm,
    Tar,
    Image,
    Sbom,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Deb, Self::Rpm, Self::Tar, Self::Image, Self::Sbom];
}

/// The packages of an architecture.
pub(super) struct Made {
    pub(super) release: Release,
    pub(super) files: Vec<PathBuf>,
}

/// Packs agents: the packages by architecture, and all files, with their checksums.
pub(super) fn all(
    agents: &[(Target, PathBuf)],
    kinds: &[Kind],
    directory: &Path,
) -> Result<(Vec<Made>, Vec<PathBuf>)> {
    let speaking = speaking(agents)?;
    let mut made = Vec::new();
    for (target, agent) in agents {
        let release = Release::new(*target, directory)?;
        let files = packages(&release, kinds, agent, speaking)?;
        made.push(Made { release, files });
    }
    let mut files: Vec<_> = made.iter().flat_map(|made| made.files.clone()).collect();
    files.push(archive::checksums(&files)?);
    Ok((made, files))
}

/// Makes packages of these kinds, and returns their paths.
pub(super) fn packages(
    release: &Release,
    kinds: &[Kind],
    agent: &Path,
    speaking: &Path,
) -> Result<Vec<PathBuf>> {
    let contents = |layout| Contents::collect(layout, release, agent, speaking);
    let mut made = Vec::new();
    for kind in kinds {
        let path = match kind {
            Kind::Deb => debian::build(release, &contents(Layout::Debian)?)?,
            Kind::Rpm => rpm::build(release, &contents(Layout::Rpm)?)?,
            Kind::Tar => archive::tarball(release, &contents(Layout::Tarball)?)?,
            Kind::Sbom => sbom::write(release)?,
            Kind::Image if !release.target.is_host() => {
                command::say(format_args!(
                    "no image for {}: it would need the C library of that architecture",
                    release.target.rust
                ));
                continue;
            }
            Kind::Image => image::build(release, agent)?,
        };
        made.push(path);
    }
    Ok(made)
}

/// Packages of one architecture alone are those of this machine: known before a build that takes long.
pub(super) fn check_architecture(only: Option<&str>) -> Result<()> {
    ensure!(
        only.is_none_or(|only| only == ARCH),
        "man pages and completions come from an agent that runs here, on {ARCH}; leave out --architecture for packages of both"
    );
    Ok(())
}

/// The agent that runs here: man pages and completions come from it.
fn speaking(agents: &[(Target, PathBuf)]) -> Result<&Path> {
    let found = agents.iter().find(|(target, _)| target.is_host());
    let (_, agent) = found.with_context(|| format!("there are no packages for {ARCH}"))?;
    Ok(agent)
}

/// A copy without symbols.
pub(super) fn stripped(agent: &Path) -> Result<PathBuf> {
    let directory = workspace::target_dir()?.join("package/work");
    fs::create_dir_all(&directory)?;
    let copy = directory.join("capture-agent");
    let mut strip = Command::new("strip");
    command::run(strip.arg("-o").arg(&copy).arg(agent))
        .with_context(|| format!("cannot strip {}", agent.display()))?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::target::TARGETS;

    #[test]
    fn another_architecture_alone_is_refused_before_a_build() {
        assert!(check_architecture(None).is_ok());
        for target in TARGETS {
            let checked = check_architecture(Some(target.rust));
            assert_eq!(checked.is_ok(), target.is_host());
        }
    }
}
