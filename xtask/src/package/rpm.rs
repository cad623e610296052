//! The .rpm, by rpmbuild: the contents as they are, and `deploy/rpm/capture-agent.spec` with the list of files.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use super::{contents::Contents, files::text, release::Release};
use crate::packages::{self, Tool};

const TOOLS: &[Tool] = &[Tool {
    program: "rpmbuild",
    packages: &["rpm"],
}];

/// Makes the package and returns its path.
pub(super) fn build(release: &Release, contents: &Contents) -> Result<PathBuf> {
    packages::ensure_tools(TOOLS)?;
    let root = release.work("rpm-root");
    contents.write(&root, release)?;
    let top = release.work("rpm");
    if top.exists() {
        fs::remove_dir_all(&top)?;
    }
    fs::create_dir_all(&top)?;
    let spec = text("deploy/rpm/capture-agent.spec")?
        .replace("@VERSION@", &release.version)
        .replace("@ROOT@", &root.display().to_string())
        .replace("@FILES@", &files(contents));
    let path = top.join("capture-agent.spec");
    fs::write(&path, spec)?;
    // Mode of directories that rpm records.
    fs::set_permissions(&top, fs::Permissions::from_mode(0o755))?;
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
        "capture-agent-{}-1.{}.rpm",
        release.version, release.target.rust
    );
    let made = top.join("out").join(release.target.rust).join(&name);
    let path = release.directory.join(name);
    fs::rename(&made, &path).with_context(|| format!("rpmbuild left no {}", made.display()))?;
    Ok(path)
}

/// The lines of `%files`.
fn files(contents: &Contents) -> String {
    let mut lines = String::new();
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
