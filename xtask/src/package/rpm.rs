//! The .rpm, by rpmbuild: the contents as they are, and `deploy/rpm/capture-agent.spec` with the list of files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    contents::Contents,
    files::{directories, text},
    release::Release,
};
use crate::packages::{self, Tool};

const TOOLS: &[Tool] = &[Tool {
    program: "rpmbuild",
    packages: &["rpm"],
}];

/// Directories that belong to the base of every distribution. The package owns the others with it.
const BASE: [&str; 16] = [
    "",
    "etc",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib/systemd",
    "usr/lib/systemd/system",
    "usr/lib/sysusers.d",
    "usr/lib/tmpfiles.d",
    "usr/lib64",
    "usr/libexec",
    "usr/share",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/man/man5",
    "usr/share/man/man8",
];

/// Makes the package and returns its path.
pub(super) fn build(release: &Release, contents: &Contents) -> Result<PathBuf> {
    packages::ensure_tools(TOOLS)?;
    let root = release.work("rpm-root");
    contents.write(&root, release)?;
    let files = files(contents);
    fs::write(release.work("rpm-files"), &files)?;
    let made = rpmbuild(release, &files, 1)?;
    let name = made.file_name().context("a package has no name")?;
    let path = release.directory.join(name);
    fs::rename(&made, &path).with_context(|| format!("rpmbuild left no {}", made.display()))?;
    Ok(path)
}

/// The package that [`build`] made last, with a number that makes it newer.
pub(super) fn newer(release: &Release) -> Result<PathBuf> {
    let files = fs::read_to_string(release.work("rpm-files"))?;
    rpmbuild(release, &files, 2)
}

fn rpmbuild(release: &Release, files: &str, number: u32) -> Result<PathBuf> {
    let root = release.work("rpm-root");
    let top = release.work("rpm");
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    // Its mode is in the package.
    directories(&top)?;
    let spec = text("deploy/rpm/capture-agent.spec")?
        .replace("@VERSION@", &release.version)
        .replace("@RELEASE@", &number.to_string())
        .replace("@ROOT@", &root.display().to_string())
        .replace("@FILES@", files);
    let path = top.join("capture-agent.spec");
    fs::write(&path, spec)?;
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild
        .args(["-bb", "--quiet", "--nodeps"])
        .arg(format!("--target={}-linux", release.target.rust));
    for (name, value) in [
        ("_topdir", top.display().to_string()),
        ("_rpmdir", top.join("out").display().to_string()),
        ("use_source_date_epoch_as_buildtime", "1".to_owned()),
        ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ("source_date_epoch_from_changelog", "0".to_owned()),
        ("_buildhost", "localhost".to_owned()),
        ("_build_id_links", "none".to_owned()),
        // Every distribution's rpm since 2009 reads it.
        ("_binary_payload", "w6.xzdio".to_owned()),
    ] {
        rpmbuild.arg("--define").arg(format!("{name} {value}"));
    }
    release
        .run(rpmbuild.arg(&path))
        .context("cannot make the RPM package")?;
    let name = format!(
        "capture-agent-{}-{number}.{}.rpm",
        release.version, release.target.rust
    );
    Ok(top.join("out").join(release.target.rust).join(name))
}

/// The lines of `%files`.
fn files(contents: &Contents) -> String {
    let mut lines = String::new();
    let above = contents.entries.iter();
    let above = above.flat_map(|entry| entry.path.ancestors().skip(1));
    let above: BTreeSet<_> = above.filter_map(Path::to_str).collect();
    for path in above.into_iter().filter(|path| !BASE.contains(path)) {
        lines.push_str(&format!("%dir %attr(0755,root,root) \"/{path}\"\n"));
    }
    for entry in &contents.entries {
        let path = entry.path.display().to_string();
        if entry.link.is_some() {
            lines.push_str(&format!("\"/{path}\"\n"));
            continue;
        }
        let kind = match &path {
            path if path.starts_with("etc/") => "%config(noreplace) ",
            path if path.contains("/LICENSE-") => "%license ",
            path if path.contains("/share/doc/") || path.contains("/share/man/") => "%doc ",
            _ => "",
        };
        lines.push_str(&format!(
            "{kind}%attr({:04o},root,root) \"/{path}\"\n",
            entry.mode
        ));
    }
    lines
}
