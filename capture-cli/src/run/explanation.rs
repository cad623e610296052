//! What `-v` says once a capture has started: which packets, from which hook and why, and what room they have.

use std::path::{Path, PathBuf};

use capture_engine::possible_cpus;
use capture_file::Target;
use capture_task::{
    bytes_text,
    plan::{Hook, Keyword as _},
};
use nix::sys::statvfs::statvfs;

use crate::{request::RunOptions, task_request::TaskRequest};

/// A line for each.
pub(super) fn lines(
    tasks: &[TaskRequest],
    labels: &[String],
    targets: &[Target],
    options: &RunOptions,
) -> Vec<String> {
    let mut lines = Vec::new();
    for (task, label) in tasks.iter().zip(labels) {
        let filter = task.plan.filter.to_string();
        let filter = match filter.is_empty() {
            true => "everything".to_owned(),
            false => filter,
        };
        lines.push(format!("{label}filter: {filter}"));
        let hook = task.plan.hook;
        let why = match hook {
            Hook::Auto => "tc, which disturbs no link",
            Hook::Tc | Hook::Xdp | Hook::XdpGeneric => "as asked for",
        };
        lines.push(format!("{label}hook: {} ({why})", hook.keyword()));
    }
    let cpus = possible_cpus().max(1);
    lines.push(format!(
        "rings: {}, {} for each of {cpus} CPUs",
        bytes_text(options.ring_size),
        bytes_text(options.ring_size / cpus as u64),
    ));
    let mut directories: Vec<PathBuf> = targets.iter().filter_map(directory).collect();
    directories.sort();
    directories.dedup();
    for directory in directories {
        if let Ok(disk) = statvfs(&directory) {
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            lines.push(format!(
                "disk: {} free in {}",
                bytes_text(free),
                directory.display()
            ));
        }
    }
    lines.push(format!("process: {}", std::process::id()));
    lines
}

pub(super) fn directory(target: &Target) -> Option<PathBuf> {
    let Target::File(path) = target else {
        return None;
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    Some(parent.unwrap_or(Path::new(".")).to_owned())
}
