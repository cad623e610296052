//! Words of the command line for what the crates below and the daemon speak of: which option sets which field of a
//! task, and how a fault is said of it. A file of tasks has the keys of the API.

use capture_task::plan::{Fault, Field, Wording};

/// The words of options, behind the option as in `--duration: it is …`.
pub(super) const OPTIONS: Wording = Wording {
    name: |field| option(field).map_or_else(|| (Wording::API.name)(field), str::to_owned),
    follows_name: true,
};

/// The words of a file of tasks, behind the place as in `tasks[3].duration: it is …`.
pub(super) const TASKS_FILE: Wording = Wording {
    name: Wording::API.name,
    follows_name: true,
};

/// The option that sets a field.
pub(super) fn option(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Name => "--name",
        Field::Interfaces => "--interface",
        Field::Direction => "--direction",
        Field::Hook => "--hook",
        Field::Protocol => "--protocol",
        // It follows from the addresses.
        Field::AddressType => return None,
        Field::Ip => "--ip",
        Field::Ports => "--port",
        Field::PeerIp => "--peer-ip",
        Field::PeerPorts => "--peer-port",
        Field::IcmpErrors => "--icmp-errors",
        Field::MaxBytes => "--max-bytes",
        Field::Oversize => "--oversize",
        Field::Duration => "--duration",
        Field::MaxPackets => "--max-packets",
        Field::MaxFileBytes => "--max-file-bytes",
        Field::Format => "--format",
        // Only `files` without the two others makes this one a fault.
        Field::Rotate | Field::RotateFiles => "--rotate-files",
        Field::RotateBytes => "--rotate-bytes",
        Field::RotateSeconds => "--rotate-seconds",
        Field::StartAt => "--start-at",
    })
}

/// A fault of a task that options describe: `--port: "x" is not a port; …`.
pub(super) fn fault(fault: &Fault) -> String {
    behind_option(&fault.pointer, &fault.kind.sentence(OPTIONS))
}

/// A sentence behind the option for what a pointer of the API leads to, a field of a task or a parameter of a query.
pub(super) fn behind_option(pointer: &str, sentence: &str) -> String {
    let option = match pointer {
        "" => return sentence.to_owned(),
        "/state" => "--state",
        "/limit" => "--limit",
        "/since" => "--since",
        _ => Field::at(pointer).and_then(option).unwrap_or("task"),
    };
    format!("{option}: {sentence}")
}

#[cfg(test)]
mod tests {
    use capture_task::plan::FaultKind;

    use super::*;

    #[test]
    fn a_fault_behind_its_option() {
        for (of, expected) in [
            (
                Fault::of(Field::PeerPorts, FaultKind::PeerPortsWithoutPeerIp),
                "--peer-port: it belongs to --peer-ip; give that too, or use --port",
            ),
            (
                Fault::of(Field::Rotate, FaultKind::RotationWithoutBound),
                "--rotate-files: rotation needs --rotate-bytes or --rotate-seconds, to know when",
            ),
            (
                Fault::of_item(Field::Ports, 3, FaultKind::PortEmpty),
                "--port: an item of the list is empty; write ports as in 443 or \"8000-8100\"",
            ),
            (
                Fault::of(Field::StartAt, FaultKind::NotATime),
                "--start-at: write a time as in \"22:00\", \"+5m\" or \"2026-03-01T08:00:00Z\"",
            ),
        ] {
            assert_eq!(fault(&of), expected);
        }
        assert_eq!(behind_option("", "no"), "no");
        assert_eq!(behind_option("/limit", "no"), "--limit: no");
        assert_eq!(behind_option("/of/later", "no"), "task: no");
    }
}
