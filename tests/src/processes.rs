//! Processes as `/proc` shows them.

use std::fs;

/// The children of a process that have a name.
pub fn children(parent: u32, name: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("processes");
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let (parent, name) = (format!("PPid:\t{parent}\n"), format!("Name:\t{name}\n"));
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.contains(&parent) && status.starts_with(&name)
    };
    ids.filter(is_child).collect()
}

/// What a field of `status` says of the threads of a process, each answer once.
pub fn status(process: u32, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    let status = threads.filter_map(|thread| {
        let path = thread.expect("a thread").path().join("status");
        // It may have ended.
        let status = fs::read_to_string(path).ok()?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Some(line.expect("the field").trim().to_owned())
    });
    let mut status: Vec<_> = status.collect();
    status.sort();
    status.dedup();
    status
}

/// A set of capabilities, which all threads of a process have.
///
/// # Panics
/// They differ.
pub fn capabilities(process: u32, field: &str) -> u64 {
    let masks = status(process, field);
    assert_eq!(masks.len(), 1, "threads differ: {masks:?}");
    u64::from_str_radix(&masks[0], 16).expect("a mask")
}
