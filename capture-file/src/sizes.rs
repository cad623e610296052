//! What a file takes before its first packet, and the limits of a task that are less than that. Asked
//! before anything is opened, so that a task which could never have a file is refused at once.

use capture_task::plan::{Fault, InterfaceSelection, Plan};

use super::{
    encode::{ETHERNET, Encoder},
    error::{Error, Result, SizeLimit},
    layout::FileLayout,
    packet::InterfaceInfo,
};

/// Characters of a task's ID, a ULID.
const TASK_ID: &str = "00000000000000000000000000";

/// The longest name of an interface.
const LONGEST_NAME: &str = "0123456789abcde";

/// The largest that a file may be.
pub(super) fn largest(plan: &Plan) -> Option<u64> {
    let rotated = plan.rotate.and_then(|rotate| rotate.bytes);
    rotated.into_iter().chain(plan.max_file_bytes).min()
}

/// A limit below a file without packets, which takes `empty` bytes, could not be kept.
pub(super) fn check(plan: &Plan, empty: u64) -> Result<()> {
    match too_small(plan, empty).next() {
        None => Ok(()),
        Some((limit, bytes)) => Err(Error::LimitTooSmall {
            limit,
            bytes,
            least: empty,
        }),
    }
}

/// The limits that no file of the task could keep, for interfaces of whatever kind.
pub fn size_faults(plan: &Plan) -> Vec<Fault> {
    if largest(plan).is_none() {
        return Vec::new();
    }
    match least(plan) {
        Ok(least) => too_small(plan, least)
            .map(|(limit, bytes)| Fault {
                pointer: match limit {
                    SizeLimit::File => "/rotate/bytes".to_owned(),
                    SizeLimit::Task => "/max_file_bytes".to_owned(),
                },
                code: "out_of_range",
                detail: format!(
                    "{bytes} is less than the {least} bytes of a file without packets; give more"
                ),
            })
            .collect(),
        Err(error) => {
            // The start will say so.
            log::warn!("{error}");
            Vec::new()
        }
    }
}

/// A file with the description of one interface, the one with the longest name.
fn least(plan: &Plan) -> Result<u64> {
    let name = match &plan.interfaces {
        InterfaceSelection::Any => LONGEST_NAME,
        InterfaceSelection::Named(names) => {
            let longest = names.iter().max_by_key(|name| name.len());
            longest.map_or(LONGEST_NAME, String::as_str)
        }
    };
    let interface = InterfaceInfo {
        ifindex: 1,
        name: name.to_owned(),
        link_type: ETHERNET,
    };
    let encoder = Encoder::new(plan, TASK_ID, ETHERNET)?;
    Ok(FileLayout::new(encoder, &[interface], None)?.size_empty())
}

/// The limits below `empty` bytes, each with its value.
fn too_small(plan: &Plan, empty: u64) -> impl Iterator<Item = (SizeLimit, u64)> {
    let rotated = plan.rotate.and_then(|rotate| rotate.bytes);
    let limits = [
        (SizeLimit::File, rotated),
        (SizeLimit::Task, plan.max_file_bytes),
    ];
    limits.into_iter().filter_map(move |(limit, most)| {
        let most = most.filter(|most| *most < empty)?;
        Some((limit, most))
    })
}
