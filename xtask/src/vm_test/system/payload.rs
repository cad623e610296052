//! What is tested in a system, as the archive that is its second disk: the guest's scripts, the commands of the pages,
//! the package and a newer one, and of a clone of the repository what the pages use.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{blocks, command, workspace};

const SCRIPTS: [(&str, &str); 5] = [
    ("run.sh", include_str!("../guest/system/run.sh")),
    ("common.sh", include_str!("../guest/system/common.sh")),
    ("service.sh", include_str!("../guest/system/service.sh")),
    ("life.sh", include_str!("../guest/system/life.sh")),
    ("source.sh", include_str!("../guest/system/source.sh")),
];

/// Blocks of commands, by name for the guest, page, and section.
const BLOCKS: [(&str, &str, &str); 11] = [
    ("readme-install", "README.md", "Install"),
    ("readme-first-capture", "README.md", "First capture"),
    ("readme-findings", "README.md", "What is wrong here?"),
    ("readme-service", "README.md", "As a service"),
    (
        "install-package",
        "docs/service/install.md",
        "From a package",
    ),
    ("install", "docs/service/install.md", "With systemd"),
    (
        "install-capture",
        "docs/service/install.md",
        "First capture",
    ),
    ("monitoring", "docs/service/monitoring.md", "Log"),
    ("backup", "docs/service/backup.md", ""),
    ("upgrade", "docs/service/upgrade.md", "By hand"),
    ("uninstall", "docs/service/uninstall.md", ""),
];

/// Packs them, and returns the archive.
pub(super) fn pack(directory: &Path, package: &Path) -> Result<PathBuf> {
    let root = directory.join("payload");
    for name in ["pages", "deb", "newer", "clone/target/dist"] {
        fs::create_dir_all(root.join(name))?;
    }
    for (name, script) in SCRIPTS {
        fs::write(root.join(name), script)?;
    }
    for (name, page, section) in BLOCKS {
        for (number, block) in blocks::of(page, section)?.iter().enumerate() {
            let name = format!("{name}-{}", number + 1);
            fs::write(root.join("pages").join(name), block)?;
        }
    }
    let name = package.file_name().context("the package has no name")?;
    fs::copy(package, root.join("deb").join(name))
        .with_context(|| format!("cannot copy {}", package.display()))?;
    let member = &blocks::of("docs/service/install.md", "From a package")?[0];
    let command = member.split(" #").next().unwrap_or(member).trim();
    let readme = fs::read_to_string(workspace::root().join("README.md"))?;
    let readme = readme.split_whitespace().collect::<Vec<_>>().join(" ");
    ensure!(
        readme.contains(&format!("`{command}`")),
        "the README does not say `{command}`"
    );
    let (_, extcap) = readme
        .split_once("`tshark -i capture-agent:")
        .context("the README has no tshark by the extcap")?;
    let (extcap, _) = extcap.split_once('`').context("an open quote")?;
    fs::write(
        root.join("pages/readme-extcap"),
        format!("tshark -i capture-agent:{extcap}\n"),
    )?;
    let unpacked = directory.join("unpacked");
    newer(package, &unpacked, &root.join("newer"))?;
    let agent = unpacked.join("usr/bin/capture-agent");
    fs::copy(&agent, root.join("clone/target/dist/capture-agent"))
        .context("the package has no agent")?;
    let mut copy = Command::new("cp");
    command::run(
        copy.arg("-r")
            .arg(workspace::root().join("deploy"))
            .arg(root.join("clone")),
    )?;
    let archive = directory.join("payload.tar");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--owner=0", "--group=0", "--file"])
        .arg(&archive)
        .arg("-C")
        .arg(&root)
        .arg(".");
    command::run(&mut tar)?;
    Ok(archive)
}

/// The same package with a newer version.
fn newer(package: &Path, unpacked: &Path, to: &Path) -> Result<()> {
    command::run(
        Command::new("dpkg-deb")
            .arg("--raw-extract")
            .arg(package)
            .arg(unpacked),
    )?;
    let path = unpacked.join("DEBIAN/control");
    let control = fs::read_to_string(&path)?;
    let control: Vec<_> = control
        .lines()
        .map(|line| match line.starts_with("Version: ") {
            true => format!("{line}+newer\n"),
            false => format!("{line}\n"),
        })
        .collect();
    let control = control.concat();
    ensure!(control.contains("+newer\n"), "the package has no version");
    fs::write(&path, control)?;
    let mut build = Command::new("dpkg-deb");
    build
        .args(["--root-owner-group", "-Znone", "--build"])
        .arg(unpacked)
        .arg(to);
    command::output(&mut build).map(drop)
}
