//! Limits of a task that are below the size of a file without packets. Checked before anything is opened, so that
//! such a task is refused at once.

use capture_task::plan::{Fault, FaultKind, Field, InterfaceSelection, Plan};

use super::{
    encode::{ETHERNET, Encoder},
    error::{Error, Result},
    layout::FileLayout,
    packet::InterfaceInfo,
};

/// Characters of a task's ID, a ULID.
const TASK_ID: &str = "00000000000000000000000000";

/// The longest name that an interface can have.
const LONGEST_NAME: &str = "0123456789abcde";

/// The limit of a file's size.
pub(super) fn max_file_size(plan: &Plan) -> Option<u64> {
    let rotated = plan.rotate.and_then(|rotate| rotate.bytes);
    rotated.into_iter().chain(plan.max_file_bytes).min()
}

/// Refuses limits below `empty`, the bytes of a file without packets.
pub(super) fn check(plan: &Plan, empty: u64) -> Result<()> {
    match limits_below(plan, empty).next() {
        None => Ok(()),
        Some((field, bytes)) => Err(Error::LimitTooSmall {
            field,
            bytes,
            least: empty,
        }),
    }
}

/// The limits of a plan that are too small for any file, whatever its interfaces are.
pub fn size_faults(plan: &Plan) -> Vec<Fault> {
    if max_file_size(plan).is_none() {
        return Vec::new();
    }
    match min_file_size(plan) {
        Ok(least) => limits_below(plan, least)
            .map(|(field, bytes)| Fault::of(field, FaultKind::BelowEmptyFile { bytes, least }))
            .collect(),
        Err(error) => {
            // The start of the task will report it.
            log::warn!("{error}");
            Vec::new()
        }
    }
}

/// The size of a file without packets and with one interface, the one with the longest name.
fn min_file_size(plan: &Plan) -> Result<u64> {
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
fn limits_below(plan: &Plan, empty: u64) -> impl Iterator<Item = (Field, u64)> {
    let rotated = plan.rotate.and_then(|rotate| rotate.bytes);
    let limits = [
        (Field::RotateBytes, rotated),
        (Field::MaxFileBytes, plan.max_file_bytes),
    ];
    limits.into_iter().filter_map(move |(field, most)| {
        let bytes = most.filter(|most| *most < empty)?;
        Some((field, bytes))
    })
}
