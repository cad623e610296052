//! The .deb, by dpkg-deb: the contents, and the control files of `deploy/debian`.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::{
    contents::Contents,
    files::{self, text},
    release::Release,
};
use crate::command;

/// Control files, with their modes.
const CONTROL: [(&str, u32); 4] = [
    ("conffiles", 0o644),
    ("postinst", 0o755),
    ("prerm", 0o755),
    ("postrm", 0o755),
];

/// Makes the package and returns its path.
pub(super) fn build(release: &Release, contents: &Contents) -> Result<PathBuf> {
    let root = release.directory.join("deb");
    contents.write(&root, release)?;
    let mut control = text("deploy/debian/control")?;
    for (word, value) in [
        ("@VERSION@", release.version.as_str()),
        ("@ARCHITECTURE@", release.target.debian),
        ("@SIZE@", &contents.kibibytes().to_string()),
    ] {
        control = control.replace(word, value);
    }
    let put = |name: &str, bytes: &[u8], mode: u32| {
        files::write(&root.join("DEBIAN").join(name), bytes, mode, release.time())
    };
    put("control", control.as_bytes(), 0o644)?;
    for (name, mode) in CONTROL {
        let file = text(&format!("deploy/debian/{name}"))?;
        put(name, file.as_bytes(), mode)?;
    }
    let mut sums = Command::new("md5sum");
    sums.current_dir(&root);
    // Configuration files may change, and symlinks have no bytes.
    let files = contents.entries.iter().filter(|entry| entry.link.is_none());
    let files = files.map(|entry| &entry.path);
    sums.args(files.filter(|path| !path.starts_with("etc")));
    put(
        "md5sums",
        (command::output(&mut sums)? + "\n").as_bytes(),
        0o644,
    )?;
    let path = release.directory.join(format!(
        "capture-agent_{}-1_{}.deb",
        release.version, release.target.debian
    ));
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&root)
        .arg(&path);
    release
        .run(&mut dpkg)
        .context("cannot make the Debian package")?;
    Ok(path)
}
