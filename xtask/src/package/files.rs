//! Files of the repository and of packages: read, compressed, and written with a mode and a time.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, workspace};

/// Writes a file with a mode and a time, and the directories above.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32, time: SystemTime) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(above) = path.parent() {
        directories(above)?;
    }
    let written = || {
        let mut file = fs::File::create(path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.set_modified(time)
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// Makes a directory and those above, open to all, whatever the umask.
pub(super) fn directories(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        directories(above)?;
    }
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot make {}", path.display()))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A text of the repository.
pub(super) fn text(name: &str) -> Result<String> {
    let path = workspace::root().join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// Compresses without a name and a time.
pub(super) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "-n"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = gzip.spawn().with_context(|| command::cannot_start(&gzip))?;
    let mut stdin = child.stdin.take().context("gzip has no input")?;
    // What it writes meanwhile fits into the pipe only for small files.
    let compressed = std::thread::scope(|scope| {
        let writer = scope.spawn(move || stdin.write_all(bytes));
        let output = child.wait_with_output();
        writer
            .join()
            .ok()
            .context("the writer panicked")?
            .context("gzip takes no input")?;
        output.context("gzip")
    })?;
    ensure!(
        compressed.status.success(),
        "gzip failed ({})",
        compressed.status
    );
    Ok(compressed.stdout)
}
