//! The OCI image, by umoci and without a container daemon: the agent, the libraries that it names, their loader, and the
//! user of the daemon.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{archive, files, release::Release};
use crate::{
    command,
    packages::{self, Tool},
};

const TOOLS: &[Tool] = &[Tool {
    program: "umoci",
    packages: &["umoci"],
}];

/// Users and groups of the image. The number is what `chown` on a host needs.
const PASSWD: &str = "root:x:0:0:root:/root:/usr/sbin/nologin\n\
capture-agent:x:994:994:Packet capture daemon:/var/lib/capture-agent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\ncapture-agent:x:994:\n";

/// Makes the image, as an archive in the layout of OCI, and returns its path.
pub(super) fn build(release: &Release, agent: &Path) -> Result<PathBuf> {
    packages::ensure_tools(TOOLS)?;
    let work = release.work("image");
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    let umoci = |arguments: &[&str]| {
        let mut umoci = Command::new("umoci");
        umoci.current_dir(&work).args(arguments);
        release.run(&mut umoci).context("cannot make the image")
    };
    let image = format!("oci:{}", release.version);
    let time = command::output(
        Command::new("date")
            .args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date"])
            .arg(format!("@{}", release.epoch)),
    )?;
    umoci(&["init", "--layout", "oci"])?;
    umoci(&["new", "--image", &image])?;
    let unpack = ["unpack", "--image", &image, "bundle"];
    match packages::is_root() {
        true => umoci(&unpack)?,
        false => umoci(&[&unpack[..1], &["--rootless"], &unpack[1..]].concat())?,
    }
    let root = work.join("bundle/rootfs");
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
    fill(release, &root, agent)?;
    umoci(&[
        "repack",
        "--image",
        &image,
        "--history.created",
        &time,
        "--history.author",
        "capture-agent",
        "bundle",
    ])?;
    umoci(&[
        "config",
        "--image",
        &image,
        "--created",
        &time,
        "--history.created",
        &time,
        "--author",
        "capture-agent",
        "--os",
        "linux",
        "--architecture",
        release.target.debian,
        "--config.entrypoint",
        "/usr/bin/capture-agent",
        "--config.cmd",
        "daemon",
        "--config.volume",
        "/var/lib/capture-agent",
        "--config.label",
        "org.opencontainers.image.title=capture-agent",
        "--config.label",
        &format!("org.opencontainers.image.version={}", release.version),
        "--config.label",
        "org.opencontainers.image.licenses=MIT OR Apache-2.0",
    ])?;
    umoci(&["gc", "--layout", "oci"])?;
    let path = release.directory.join(format!(
        "capture-agent-{}-{}.oci.tar",
        release.version, release.target.debian
    ));
    let names = ["blobs", "index.json", "oci-layout"];
    archive::tar(release, &work.join("oci"), &names, &path, "")?;
    Ok(path)
}

/// Puts the files into the root of the image, all with the time of the release.
fn fill(release: &Release, root: &Path, agent: &Path) -> Result<()> {
    let put = |path: &str, bytes: &[u8], mode: u32| {
        files::write(&root.join(path), bytes, mode, release.time())
    };
    put("usr/bin/capture-agent", &files::read(agent)?, 0o755)?;
    for library in libraries(agent)? {
        let to = library.strip_prefix("/").unwrap_or(&library);
        let to = match to.starts_with("usr") {
            true => to.to_owned(),
            false => Path::new("usr").join(to),
        };
        put(&to.display().to_string(), &files::read(&library)?, 0o755)?;
    }
    for name in ["lib", "lib64"] {
        if root.join("usr").join(name).exists() {
            symlink(format!("usr/{name}"), root.join(name))?;
        }
    }
    put("etc/passwd", PASSWD.as_bytes(), 0o644)?;
    put("etc/group", GROUP.as_bytes(), 0o644)?;
    for name in ["copyright", "LICENSE-MIT", "LICENSE-APACHE"] {
        let source = match name {
            "copyright" => PathBuf::from("/usr/share/doc/libc6/copyright"),
            name => crate::workspace::root().join(name),
        };
        if source.is_file() {
            let to = format!("usr/share/doc/capture-agent/{name}");
            put(&to, &files::read(&source)?, 0o644)?;
        }
    }
    for directory in ["var/lib/capture-agent", "run/capture-agent", "tmp"] {
        files::directories(&root.join(directory))?;
    }
    // Directories and links have the time at which they were made.
    let mut touch = Command::new("find");
    touch.arg(root).args(["-exec", "touch", "--no-dereference"]);
    touch.arg(format!("--date=@{}", release.epoch));
    command::output(touch.args(["{}", "+"])).map(drop)
}

/// The libraries that the agent is linked with, and their loader, as this machine has them.
fn libraries(agent: &Path) -> Result<Vec<PathBuf>> {
    let list = command::output(Command::new("ldd").arg(agent))?;
    let libraries: Vec<_> = list.lines().filter_map(library).collect();
    ensure!(
        libraries.len() > 1,
        "ldd names no libraries of {}",
        agent.display()
    );
    Ok(libraries)
}

/// The path in a line of ldd; the kernel's own library has none.
fn library(line: &str) -> Option<PathBuf> {
    let words = line.split_whitespace();
    let path = words.into_iter().find(|word| word.starts_with('/'))?;
    Some(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_list() {
        let list = "\tlinux-vdso.so.1 (0x00007ffe)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found: Vec<_> = list.lines().filter_map(library).collect();
        assert_eq!(
            found,
            [
                Path::new("/lib/x86_64-linux-gnu/libc.so.6"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
    }
}
