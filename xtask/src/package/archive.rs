//! Archives by GNU tar, and the checksums of all files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{contents::Contents, release::Release};
use crate::command;

/// The tarball: one directory, which can be unpacked into `/usr/local`.
pub(super) fn tarball(release: &Release, contents: &Contents) -> Result<PathBuf> {
    let name = format!(
        "capture-agent-{}-{}-linux",
        release.version, release.target.rust
    );
    let root = release.work("tar");
    contents.write(&root.join(&name), release)?;
    let path = release.directory.join(format!("{name}.tar.gz"));
    tar(release, &root, &[&name], &path, "gzip -9n")?;
    Ok(path)
}

/// Archives `names` below `root`, in order of names, with one owner and time, and modes that do not tell of the umask of who packs.
pub(super) fn tar(
    release: &Release,
    root: &Path,
    names: &[&str],
    to: &Path,
    compressor: &str,
) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.arg("--create")
        .args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX,go=rX",
            "--format=gnu",
        ])
        .arg(format!("--mtime=@{}", release.epoch));
    if !compressor.is_empty() {
        tar.arg(format!("--use-compress-program={compressor}"));
    }
    tar.arg("--file").arg(to).arg("--directory").arg(root);
    release
        .run(tar.args(names))
        .with_context(|| format!("cannot make {}", to.display()))
}

/// Writes `SHA256SUMS` beside these files.
pub(super) fn checksums(files: &[PathBuf]) -> Result<PathBuf> {
    let first = files.first().context("nothing was packed")?;
    let directory = first.parent().context("a package has no directory")?;
    let mut names: Vec<_> = files.iter().filter_map(|file| file.file_name()).collect();
    names.sort();
    let mut sums = Command::new("sha256sum");
    let sums = command::output(sums.current_dir(directory).args(names))? + "\n";
    let path = directory.join("SHA256SUMS");
    fs::write(&path, sums).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
