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

/// More than a file needs around the bytes of a packet: header, options and padding of a pcapng block, a VLAN tag.
const MOST_OVERHEAD: u64 = 64;

/// The limit of a file's size.
pub(super) fn max_file_size(plan: &Plan) -> Option<u64> {
    let rotated = plan.rotate.and_then(|rotate| rotate.bytes);
    rotated.into_iter().chain(plan.max_file_bytes).min()
}

/// Most bytes that the files of a task can take at one moment, where a limit of it says so.
pub fn worst_case(plan: &Plan) -> Option<u64> {
    let Plan {
        interfaces,
        max_bytes,
        max_packets,
        max_file_bytes,
        rotate,
        ..
    } = plan;
    // With seconds alone, `files` counts those that are written, and each is as long as it may be.
    let ring = rotate.and_then(|rotate| rotate.bytes?.checked_mul(rotate.files?));
    let packets = match (rotate, max_packets, max_bytes, interfaces) {
        (None, Some(packets), Some(bytes), InterfaceSelection::Named(names)) => {
            let each = u64::from(*bytes) + MOST_OVERHEAD;
            // Each interface has a description at the beginning and figures at the end.
            let empty = min_file_size(plan).ok()?.saturating_mul(names.len() as u64);
            packets.saturating_mul(each).checked_add(empty)
        }
        _ => None,
    };
    [*max_file_bytes, ring, packets].into_iter().flatten().min()
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

#[cfg(test)]
mod tests {
    use capture_task::{
        plan::RequestOrigin,
        task::{Quantity, RotateSpec, TaskSpec},
    };

    use super::*;

    fn plan(origin: RequestOrigin, change: impl FnOnce(&mut TaskSpec)) -> Plan {
        let mut spec = TaskSpec {
            name: Some("n".to_owned()),
            interfaces: vec!["lo".to_owned()],
            ..TaskSpec::default()
        };
        change(&mut spec);
        Plan::resolve(&spec, origin).expect("a plan")
    }

    #[test]
    fn the_least_limit_is_the_worst_case() {
        let daemon = |change: fn(&mut TaskSpec)| worst_case(&plan(RequestOrigin::Daemon, change));
        let number = |number| Some(Quantity::Number(number));
        let gib = Some(1 << 30);
        assert_eq!(worst_case(&plan(RequestOrigin::Run, |_| ())), None);
        assert_eq!(daemon(|_| ()), gib);
        let limited = |spec: &mut TaskSpec| spec.max_file_bytes = Some(Quantity::Number(5000));
        assert_eq!(daemon(limited), Some(5000));
        let ring = plan(RequestOrigin::Daemon, |spec| {
            spec.rotate = Some(RotateSpec {
                bytes: number(1 << 20),
                files: number(3),
                ..RotateSpec::default()
            });
        });
        assert_eq!(worst_case(&ring), Some(3 << 20));
        let by_time = plan(RequestOrigin::Daemon, |spec| {
            spec.rotate = Some(RotateSpec {
                seconds: number(1),
                files: number(3),
                ..RotateSpec::default()
            });
        });
        assert_eq!(worst_case(&by_time), gib);
        // Of whole frames nobody knows how long they are.
        let whole = |spec: &mut TaskSpec| spec.max_packets = Some(Quantity::Number(10));
        assert_eq!(daemon(whole), gib);
        let short = |packets| {
            plan(RequestOrigin::Daemon, move |spec| {
                spec.max_packets = number(packets);
                spec.max_bytes = number(96);
            })
        };
        let empty = min_file_size(&short(10)).expect("a size");
        assert_eq!(worst_case(&short(10)), Some(10 * 160 + empty));
        assert_eq!(worst_case(&short(i64::MAX)), gib);
    }
}
