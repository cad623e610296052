//! A release is built a second time, as a stranger builds it: from a clone at another path, with another home of cargo,
//! another umask, time zone and language. Every file is to be equal, byte by byte.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::release;
use crate::{command, workspace};

/// What cargo keeps at home that a build needs: fetched crates, and where they are fetched from.
const HOME: [&str; 4] = ["registry", "git", "config.toml", "config"];

/// Below the directory of packages.
const PLACE: &str = "again/at/another/path";

/// There is a commit to build again.
pub(super) fn check_tree() -> Result<()> {
    let mut git = Command::new("git");
    git.args(["status", "--porcelain", "--untracked-files=no"])
        .current_dir(workspace::root());
    let changes =
        command::output(&mut git).context("a second build needs a clone of the repository")?;
    ensure!(
        changes.is_empty(),
        "the second build is one of the last commit, and there are changes after it: commit or stash them"
    );
    Ok(())
}

/// Builds the release again, by `cargo xtask package` with these arguments, and compares all files with the first ones in
/// `directory`.
pub(super) fn compare(directory: &Path, first: &[PathBuf], arguments: &[String]) -> Result<()> {
    check_tree()?;
    let clone = clone(&directory.join(PLACE))?;
    let second = clone.join("target/package");
    command::say(format_args!("building again, in {}", clone.display()));
    // As `cargo xtask` there, without compiling it there.
    let mut package = Command::new("sh");
    package
        .args(["-c", "umask 077 && exec \"$0\" \"$@\""])
        .arg(env::current_exe().context("cannot find this program")?)
        .arg("package")
        .args(arguments)
        .current_dir(&clone)
        .env("CARGO_MANIFEST_DIR", clone.join("xtask"))
        .env("CARGO_HOME", home(&directory.join("again/cargo"))?)
        .env(release::EPOCH, release::epoch()?.to_string())
        .envs([("TZ", "Asia/Kathmandu"), ("LC_ALL", "C.UTF-8")])
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_BUILD_TARGET_DIR");
    command::output(&mut package).context("the second build failed")?;
    let mut differ = Vec::new();
    for one in first {
        let other = second.join(one.file_name().context("a package has no name")?);
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        if read(one)? != read(&other)? {
            differ.push(other.display().to_string());
        }
    }
    ensure!(
        differ.is_empty(),
        "not as in the first build: {}; `diffoscope` shows where",
        differ.join(", ")
    );
    Ok(())
}

/// A clone of the last commit. What was built there before stays, as cargo judges what to build anew.
fn clone(place: &Path) -> Result<PathBuf> {
    let clone = place.join("capture-agent");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.arg("-C").arg(&clone).args(arguments);
        command::output(&mut git)
    };
    fs::create_dir_all(&clone).with_context(|| format!("cannot make {}", clone.display()))?;
    let from = workspace::root().display().to_string();
    git(&["init", "--quiet"])?;
    git(&["fetch", "--quiet", &from, "HEAD"])?;
    git(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"])?;
    git(&["clean", "--quiet", "--force", "-d"])?;
    Ok(clone)
}

/// Another home of cargo, with what is in the present one: hard links, as compilers see through symlinks.
fn home(home: &Path) -> Result<&Path> {
    let present =
        capture_build::cargo_home().context("cargo has no home; set HOME or CARGO_HOME")?;
    if home.exists() {
        fs::remove_dir_all(home).with_context(|| format!("cannot remove {}", home.display()))?;
    }
    fs::create_dir_all(home).with_context(|| format!("cannot make {}", home.display()))?;
    for from in HOME
        .map(|name| present.join(name))
        .iter()
        .filter(|from| from.exists())
    {
        let copy = |how: &str| {
            let mut cp = Command::new("cp");
            command::output(cp.args(["--archive", how]).arg(from).arg(home))
        };
        // Links end at the file system.
        if copy("--link").is_err() {
            copy("--reflink=auto").context("cannot copy what cargo fetched")?;
        }
    }
    Ok(home)
}
