//! From a request to a plan. Every field is parsed on its own, then the rules between fields are
//! checked; each violation is a [`Fault`], and only a request without faults becomes a [`Plan`].

use std::{collections::HashSet, time::Duration};

use ipnet::IpNet;

use super::{
    address,
    fault::{Fault, Faults, ValueError},
    filter::{Endpoint, Filter},
    keyword,
    keyword::{AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol},
    limits::{
        DAEMON_DURATION, DAEMON_LEAST_ROTATE_BYTES, DAEMON_MAX_FILE_BYTES, DAEMON_MAX_FILES,
        MAX_INTERFACE_NAME, MAX_INTERFACES, MAX_NAME_CHARS,
    },
    origin::RequestOrigin,
    ports,
    text::{is_printable, quote},
    units,
    validated::{InterfaceSelection, Plan, Rotate},
};
use crate::task::{Quantity, RotateSpec, TaskSpec};

impl Plan {
    /// The plan for a request, or everything that is wrong with it.
    ///
    /// Whether the interfaces exist is not asked here.
    pub fn resolve(spec: &TaskSpec, face: RequestOrigin) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let TaskSpec {
            name,
            interfaces,
            direction,
            hook,
            protocol,
            address_type,
            ip,
            ports,
            peer_ip,
            peer_ports,
            icmp_errors,
            max_bytes,
            oversize,
            duration,
            max_packets,
            max_file_bytes,
            format,
            rotate,
        } = spec;

        let name = resolve_name(name.as_deref(), interfaces, face, &mut faults);
        let interfaces = resolve_interfaces(interfaces, &mut faults);
        let directions = resolve_word("/direction", direction, Directions::Both, &mut faults);
        let hook = resolve_word("/hook", hook, Hook::Auto, &mut faults);
        let protocol = resolve_word("/protocol", protocol, Protocol::All, &mut faults);
        let local = Endpoint {
            address: faults.check_given("/ip", ip.as_ref(), |text| address::parse(text)),
            ports: ports::parse_list("/ports", ports, &mut faults),
        };
        let peer = Endpoint {
            address: faults.check_given("/peer_ip", peer_ip.as_ref(), |text| address::parse(text)),
            ports: ports::parse_list("/peer_ports", peer_ports, &mut faults),
        };
        check_endpoints(spec, &mut faults);
        check_families(local.address, peer.address, &mut faults);
        check_ports_have_protocol(spec, protocol, &mut faults);
        let address_type = faults.check_given("/address_type", address_type.as_ref(), |text| {
            keyword::parse::<AddressType>(text)
        });
        check_address_type(spec, address_type, &mut faults);

        let max_bytes = faults
            .check_given("/max_bytes", max_bytes.as_ref(), resolve_max_bytes)
            .flatten();
        let oversize = resolve_word("/oversize", oversize, Oversize::Truncate, &mut faults);
        let duration = faults
            .check_given("/duration", duration.as_ref(), units::seconds)
            .map(Duration::from_secs);
        let max_packets = faults.check_given("/max_packets", max_packets.as_ref(), |value| {
            units::count(value, "packets")
        });
        let max_file_bytes = faults.check_given(
            "/max_file_bytes",
            max_file_bytes.as_ref(),
            units::positive_size,
        );
        let format = resolve_word("/format", format, Format::Pcapng, &mut faults);
        let rotate = rotate
            .as_ref()
            .map(|rotate| resolve_rotate(rotate, face, &mut faults));
        let duration = duration.or(match face {
            RequestOrigin::Run => None,
            RequestOrigin::Daemon => Some(DAEMON_DURATION),
        });
        let max_file_bytes = max_file_bytes.or(match face {
            RequestOrigin::Run => None,
            RequestOrigin::Daemon => Some(daemon_max_file_bytes(rotate)),
        });
        if face == RequestOrigin::Daemon {
            check_number_of_files(rotate, duration, max_file_bytes, &mut faults);
        }

        let faults = faults.into_vec();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            name,
            interfaces,
            directions,
            hook,
            filter: Filter {
                protocol,
                local,
                peer,
                icmp_errors: *icmp_errors,
            },
            max_bytes,
            oversize,
            duration,
            max_packets,
            max_file_bytes,
            format,
            rotate,
        })
    }
}

fn resolve_word<T: Keyword>(
    pointer: &str,
    field: &Option<String>,
    default: T,
    faults: &mut Faults,
) -> T {
    faults
        .check_given(pointer, field.as_ref(), |text| keyword::parse(text))
        .unwrap_or(default)
}

fn resolve_name(
    name: Option<&str>,
    interfaces: &[String],
    face: RequestOrigin,
    faults: &mut Faults,
) -> String {
    match (name, face) {
        (Some(name), _) => {
            faults.check("/name", check_name(name));
            name.to_owned()
        }
        (None, RequestOrigin::Run) => interfaces.join(",").chars().take(MAX_NAME_CHARS).collect(),
        (None, RequestOrigin::Daemon) => {
            faults.add(
                "/name",
                ValueError::required("a task needs a name that tells its purpose"),
            );
            String::new()
        }
    }
}

fn check_name(name: &str) -> Result<(), ValueError> {
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(ValueError::out_of_range(format!(
            "the name has {chars} characters; the most is {MAX_NAME_CHARS}"
        )));
    }
    if name.trim().is_empty() {
        return Err(ValueError::invalid(
            "the name is empty; write what the capture is for",
        ));
    }
    match name.chars().find(|c| !is_printable(*c)) {
        Some(character) => Err(ValueError::invalid(format!(
            "the name holds the unprintable character U+{:04X}; leave it out",
            u32::from(character)
        ))),
        None => Ok(()),
    }
}

fn resolve_interfaces(names: &[String], faults: &mut Faults) -> InterfaceSelection {
    if names.len() > MAX_INTERFACES {
        faults.add("/interfaces", too_many_interfaces(names.len()));
        return InterfaceSelection::Named(Vec::new());
    }
    if names.is_empty() {
        faults.add(
            "/interfaces",
            ValueError::required("no interface is given; name at least one, or \"any\" for all"),
        );
    }
    if names.len() > 1 && names.iter().any(|name| name == "any") {
        faults.add(
            "/interfaces",
            ValueError::conflict("\"any\" already covers every interface; give it alone"),
        );
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let pointer = format!("/interfaces/{index}");
        if !seen.insert(name) {
            let problem = format!("{} is given twice; give it once", quote(name));
            faults.add(pointer, ValueError::conflict(problem));
        } else if let Some(reason) = invalid_interface_name(name) {
            let problem = format!("{} is not an interface name: {reason}", quote(name));
            faults.add(pointer, ValueError::invalid(problem));
        }
    }
    match names {
        [name] if name == "any" => InterfaceSelection::Any,
        names => InterfaceSelection::Named(names.to_vec()),
    }
}

pub(super) fn too_many_interfaces(count: usize) -> ValueError {
    ValueError::out_of_range(format!(
        "{count} interfaces are too many; name at most {MAX_INTERFACES}, or \"any\" for all"
    ))
}

/// The rules of `dev_valid_name` (net/core/dev.c).
fn invalid_interface_name(name: &str) -> Option<&'static str> {
    let forbidden = |c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace();
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > MAX_INTERFACE_NAME {
        Some("names have at most 15 bytes")
    } else if name.contains(forbidden) {
        Some("names hold no slash, colon, space or NUL")
    } else if name == "." || name == ".." {
        Some("the name is reserved")
    } else {
        None
    }
}

/// What must be there for what is there.
fn check_endpoints(spec: &TaskSpec, faults: &mut Faults) {
    let pair_named = spec.address_type.as_deref() == Some(AddressType::IpPair.keyword());
    if spec.ip.is_none() && spec.peer_ip.is_some() && spec.address_type.is_none() {
        faults.add(
            "/ip",
            ValueError::required("`peer_ip` is the other side of a pair; give `ip`, or `ip` alone"),
        );
    }
    if !spec.peer_ports.is_empty() && spec.peer_ip.is_none() && !pair_named {
        faults.add(
            "/peer_ports",
            ValueError::conflict(
                "`peer_ports` belongs to `peer_ip`; give that too, or use `ports`",
            ),
        );
    }
}

/// An `address_type` that is given must be what the addresses say.
fn check_address_type(spec: &TaskSpec, given: Option<AddressType>, faults: &mut Faults) {
    let Some(given) = given else { return };
    let word = given.keyword();
    let rows = [
        ("/ip", "`ip`", spec.ip.is_some(), given != AddressType::Any),
        (
            "/peer_ip",
            "`peer_ip`",
            spec.peer_ip.is_some(),
            given == AddressType::IpPair,
        ),
    ];
    for (pointer, field, is_given, is_wanted) in rows {
        if is_wanted && !is_given {
            let problem = format!("`address_type` is \"{word}\", which needs {field}");
            faults.add(pointer, ValueError::required(problem));
        }
        if is_given && !is_wanted {
            let problem = format!("`address_type` is \"{word}\", which takes no {field}");
            faults.add(pointer, ValueError::conflict(problem));
        }
    }
}

fn check_families(ip: Option<IpNet>, peer_ip: Option<IpNet>, faults: &mut Faults) {
    let version = |net: IpNet| if net.addr().is_ipv4() { 4 } else { 6 };
    if let (Some(ip), Some(peer_ip)) = (ip, peer_ip)
        && version(ip) != version(peer_ip)
    {
        faults.add(
            "/peer_ip",
            ValueError::conflict(format!(
                "`ip` is IPv{} and `peer_ip` is IPv{}, which no packet has; give both of one version",
                version(ip),
                version(peer_ip)
            )),
        );
    }
}

fn check_ports_have_protocol(spec: &TaskSpec, protocol: Protocol, faults: &mut Faults) {
    if protocol != Protocol::Icmp {
        return;
    }
    for (pointer, field, ports) in [
        ("/ports", "`ports`", &spec.ports),
        ("/peer_ports", "`peer_ports`", &spec.peer_ports),
    ] {
        if !ports.is_empty() {
            let problem = format!("ICMP has no ports; leave {field} out, or choose tcp or udp");
            faults.add(pointer, ValueError::conflict(problem));
        }
    }
}

fn resolve_max_bytes(value: &Quantity) -> Result<Option<u16>, ValueError> {
    match units::size(value)? {
        0 => Ok(None),
        bytes => u16::try_from(bytes).map(Some).map_err(|_| {
            ValueError::out_of_range(format!(
                "{bytes} is more than 65535; use 0, the default, to keep whole frames"
            ))
        }),
    }
}

fn resolve_rotate(rotate: &RotateSpec, face: RequestOrigin, faults: &mut Faults) -> Rotate {
    let RotateSpec {
        bytes,
        seconds,
        files,
    } = rotate;
    if bytes.is_none() && seconds.is_none() {
        faults.add(
            "/rotate",
            ValueError::required("rotation needs `rotate.bytes` or `rotate.seconds`, to know when"),
        );
    }
    Rotate {
        bytes: faults.check_given("/rotate/bytes", bytes.as_ref(), |value| {
            units::positive_size(value).and_then(|bytes| rotate_bytes(bytes, face))
        }),
        seconds: faults.check_given("/rotate/seconds", seconds.as_ref(), units::seconds),
        files: faults.check_given("/rotate/files", files.as_ref(), |value| {
            units::count(value, "files").and_then(|files| rotate_files(files, face))
        }),
    }
}

fn rotate_bytes(bytes: u64, face: RequestOrigin) -> Result<u64, ValueError> {
    if face == RequestOrigin::Daemon && bytes < DAEMON_LEAST_ROTATE_BYTES {
        return Err(ValueError::out_of_range(format!(
            "{bytes} is too small for the files of a daemon; the least is {DAEMON_LEAST_ROTATE_BYTES} (\"64KiB\")"
        )));
    }
    Ok(bytes)
}

fn rotate_files(files: u64, face: RequestOrigin) -> Result<u64, ValueError> {
    if face == RequestOrigin::Daemon && files > DAEMON_MAX_FILES {
        return Err(ValueError::out_of_range(format!(
            "{files} files are too many; a task of the daemon has at most {DAEMON_MAX_FILES}"
        )));
    }
    Ok(files)
}

/// `max_file_bytes` of a daemon's task that gives none: less where it would be too many files.
fn daemon_max_file_bytes(rotate: Option<Rotate>) -> u64 {
    let most = match rotate {
        Some(Rotate {
            bytes: Some(bytes),
            files: None,
            ..
        }) => bytes.saturating_mul(DAEMON_MAX_FILES),
        _ => u64::MAX,
    };
    most.min(DAEMON_MAX_FILE_BYTES)
}

/// Without `files`, a rotation makes as many as the other limits allow.
fn check_number_of_files(
    rotate: Option<Rotate>,
    duration: Option<Duration>,
    max_file_bytes: Option<u64>,
    faults: &mut Faults,
) {
    let Some(Rotate {
        bytes,
        seconds,
        files: None,
    }) = rotate
    else {
        return;
    };
    let duration = duration.map(|duration| duration.as_secs());
    for (pointer, limit, most, each) in [
        ("/rotate/bytes", "max_file_bytes", max_file_bytes, bytes),
        ("/rotate/seconds", "duration", duration, seconds),
    ] {
        let files = most.zip(each).map(|(most, each)| most.div_ceil(each));
        if let Some(files) = files.filter(|files| *files > DAEMON_MAX_FILES) {
            let problem = format!(
                "with this `{limit}` it makes {files} files, and a task of the daemon has at most {DAEMON_MAX_FILES}; give more, or `rotate.files`"
            );
            faults.add(pointer, ValueError::out_of_range(problem));
        }
    }
}

#[cfg(test)]
mod tests;
