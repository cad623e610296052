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
const BLOCKS: [(&str, &str, &str); 12] = [
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
    ("tls", "docs/service/tls-and-tokens.md", ""),
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
    https(&root)?;
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

/// The configuration of the page about HTTPS, and two certificates for its name, of which the second renews the first.
fn https(root: &Path) -> Result<()> {
    let config = &blocks::of_language("docs/service/tls-and-tokens.md", "", "toml")?[0];
    fs::write(root.join("pages/tls.toml"), config)?;
    for name in ["first", "renewed"] {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args(["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
            .args(["-subj", "/CN=capture.example", "-addext"])
            .args(["subjectAltName=DNS:capture.example", "-keyout"])
            .arg(root.join(format!("{name}.key")))
            .arg("-out")
            .arg(root.join(format!("{name}.pem")));
        command::output(&mut openssl).context("cannot make a certificate")?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The README and all pages, by their paths below the root.
    fn pages() -> Vec<String> {
        let mut pages = vec!["README.md".to_owned()];
        let mut directories = vec!["docs".to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(workspace::root().join(&directory)).expect("a directory") {
                let name = entry.expect("an entry").file_name();
                let path = format!("{directory}/{}", name.display());
                match workspace::root().join(&path).is_dir() {
                    true => directories.push(path),
                    false if path.ends_with(".md") => pages.push(path),
                    false => {}
                }
            }
        }
        pages
    }

    #[test]
    fn every_block_for_a_booted_system_is_typed_in_one() {
        let scripts: String = SCRIPTS.iter().map(|(_, script)| *script).collect();
        let mut found = 0;
        for page in pages() {
            let text = fs::read_to_string(workspace::root().join(&page)).expect("a page");
            for part in text.split("\n```sh booted\n").skip(1) {
                let (block, _) = part.split_once("```").expect("an end");
                let name = BLOCKS.iter().find_map(|(name, place, section)| {
                    let blocks = (*place == page).then(|| blocks::of(place, section))?;
                    let at = blocks.expect("blocks").iter().position(|it| it == block)?;
                    Some(format!("{name}-{}", at + 1))
                });
                let name = name.unwrap_or_else(|| panic!("{page}: {block}"));
                let is_typed = scripts.split_whitespace().any(|word| {
                    let word = word.trim_end_matches([')', '"', '\'']);
                    word == name || word.ends_with(&format!("/{name}"))
                });
                assert!(is_typed, "{name}");
                found += 1;
            }
        }
        assert!(found > 8, "{found}");
    }
}
