//! The run of a system: one process of qemu for all its boots, whose disk forgets at the end what was written.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    super::{
        machine::{self, CPU, Ended},
        tools::{QEMU, Tools},
    },
    image::Image,
};
use crate::command;

/// What the guest's checks print.
pub(super) const CHECKS: &str = "checks.log";

/// How long all boots may take together. A machine that does nothing else needs a tenth of it.
const TIMEOUT: Duration = Duration::from_secs(2400);

/// In MiB.
const MEMORY: &str = "1024";

/// Boots from the disk until the guest powers off. The payload is its second disk.
pub(super) fn run(tools: &Tools, directory: &Path, image: &Image, payload: &Path) -> Result<Ended> {
    let file = |name: &str| format!("file:{}", directory.join(name).display());
    let mut qemu = tools.command(tools.path(QEMU)?);
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        CPU,
        "-smp",
        "2",
        "-m",
        MEMORY,
    ])
    .args(["-display", "none", "-monitor", "none", "-nic", "none"])
    .args(["-serial", &file("console.log"), "-serial", &file(CHECKS)])
    .arg("-kernel")
    .arg(&image.kernel)
    .arg("-initrd")
    .arg(&image.initrd)
    .args([
        "-append",
        "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0",
    ])
    .args(["-drive", &drive(&image.disk, "snapshot=on")])
    .args(["-drive", &drive(payload, "readonly=on")])
    // Where the changes of the disk go meanwhile.
    .env("TMPDIR", directory)
    .stdin(Stdio::null());
    let child = qemu
        .spawn()
        .with_context(|| format!("cannot start `{}`", command::line(&qemu)))?;
    machine::wait(child, &command::line(&qemu), TIMEOUT)
}

/// A disk of raw bytes.
fn drive(path: &Path, option: &str) -> String {
    format!("file={},format=raw,if=virtio,{option}", path.display())
}
