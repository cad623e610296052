//! From a request to a plan. Every field is parsed on its own, then the rules between fields are
//! checked; each violation is a [`Fault`], and only a request without faults becomes a [`Plan`].

use std::{collections::HashSet, time::Duration};

use ipnet::IpNet;

use super::{
    address,
    collect::Faults,
    fault::{Counted, Fault, FaultKind, NameRule},
    field::Field,
    filter::{Endpoint, Filter},
    keyword,
    keyword::{AddressType, Directions, Format, Hook, Keyword, Oversize, Protocol},
    limits::{
        DAEMON_DURATION, DAEMON_LEAST_ROTATE_BYTES, DAEMON_MAX_FILE_BYTES, DAEMON_MAX_FILES,
        MAX_INTERFACE_NAME, MAX_INTERFACES, MAX_NAME_CHARS,
    },
    origin::RequestOrigin,
    ports, units,
    validated::{InterfaceSelection, Plan, Rotate},
};
use crate::{
    printable::{is_printable, is_visible},
    task::{Addresses, Quantity, RotateSpec, TaskSpec},
};

impl Plan {
    /// The plan for a request, or everything that is wrong with it.
    ///
    /// Whether the interfaces exist is not asked here.
    pub fn resolve(spec: &TaskSpec, origin: RequestOrigin) -> Result<Self, Vec<Fault>> {
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

        let name = resolve_name(name.as_deref(), interfaces, origin, &mut faults);
        let interfaces = resolve_interfaces(interfaces, &mut faults);
        let directions = resolve_word(Field::Direction, direction, Directions::Both, &mut faults);
        let hook = resolve_word(Field::Hook, hook, Hook::Auto, &mut faults);
        let protocol = faults
            .check_given(Field::Protocol, protocol.as_ref(), |text| {
                resolve_protocol(text)
            })
            .unwrap_or_default();
        let local = Endpoint {
            addresses: resolve_addresses(Field::Ip, ip.as_ref(), &mut faults),
            ports: ports::parse_list(Field::Ports, ports, &mut faults),
        };
        let peer = Endpoint {
            addresses: resolve_addresses(Field::PeerIp, peer_ip.as_ref(), &mut faults),
            ports: ports::parse_list(Field::PeerPorts, peer_ports, &mut faults),
        };
        check_endpoints(spec, &mut faults);
        check_families(&local, &peer, &mut faults);
        check_ports_have_protocol(spec, protocol, &mut faults);
        let address_type = faults.check_given(Field::AddressType, address_type.as_ref(), |text| {
            keyword::parse::<AddressType>(text)
        });
        check_address_type(spec, address_type, &mut faults);

        let max_bytes = faults
            .check_given(Field::MaxBytes, max_bytes.as_ref(), resolve_max_bytes)
            .flatten();
        let oversize = resolve_word(Field::Oversize, oversize, Oversize::Truncate, &mut faults);
        let duration = faults
            .check_given(Field::Duration, duration.as_ref(), units::seconds)
            .map(Duration::from_secs);
        let max_packets = faults.check_given(Field::MaxPackets, max_packets.as_ref(), |value| {
            units::count(value, Counted::Packets)
        });
        let max_file_bytes = faults.check_given(
            Field::MaxFileBytes,
            max_file_bytes.as_ref(),
            units::positive_size,
        );
        let format = resolve_word(Field::Format, format, Format::Pcapng, &mut faults);
        let rotate = rotate
            .as_ref()
            .map(|rotate| resolve_rotate(rotate, origin, &mut faults));
        let duration = duration.or(match origin {
            RequestOrigin::Run => None,
            RequestOrigin::Daemon => Some(DAEMON_DURATION),
        });
        let max_file_bytes = max_file_bytes.or(match origin {
            RequestOrigin::Run => None,
            RequestOrigin::Daemon => Some(daemon_max_file_bytes(rotate)),
        });
        if origin == RequestOrigin::Daemon {
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
    field: Field,
    word: &Option<String>,
    default: T,
    faults: &mut Faults,
) -> T {
    faults
        .check_given(field, word.as_ref(), |text| keyword::parse(text))
        .unwrap_or(default)
}

/// One protocol, which is what the kernel compares.
fn resolve_protocol(text: &str) -> Result<Protocol, FaultKind> {
    keyword::parse(text).map_err(|fault| {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        let are_known = words
            .iter()
            .all(|word| keyword::parse::<Protocol>(word).is_ok());
        match words.len() > 1 && are_known {
            true => FaultKind::SeveralProtocols { text: text.into() },
            false => fault,
        }
    })
}

fn resolve_name(
    name: Option<&str>,
    interfaces: &[String],
    origin: RequestOrigin,
    faults: &mut Faults,
) -> String {
    match (name, origin) {
        (Some(name), _) => {
            faults.check(Field::Name, check_name(name));
            name.to_owned()
        }
        (None, RequestOrigin::Run) => interfaces.join(",").chars().take(MAX_NAME_CHARS).collect(),
        (None, RequestOrigin::Daemon) => {
            faults.add(Field::Name, FaultKind::NameMissing);
            String::new()
        }
    }
}

fn check_name(name: &str) -> Result<(), FaultKind> {
    let chars = name.chars().count();
    if chars > MAX_NAME_CHARS {
        return Err(FaultKind::NameTooLong {
            chars: chars as u64,
            most: MAX_NAME_CHARS as u64,
        });
    }
    if !name.chars().any(is_visible) {
        return Err(FaultKind::NameEmpty);
    }
    match name.chars().find(|c| !is_printable(*c)) {
        Some(character) => Err(FaultKind::NameUnprintable {
            code_point: u32::from(character),
        }),
        None => Ok(()),
    }
}

fn resolve_interfaces(names: &[String], faults: &mut Faults) -> InterfaceSelection {
    if names.len() > MAX_INTERFACES {
        faults.add(Field::Interfaces, too_many_interfaces(names.len()));
        return InterfaceSelection::Named(Vec::new());
    }
    if names.is_empty() {
        faults.add(Field::Interfaces, FaultKind::NoInterface);
    }
    if names.len() > 1 && names.iter().any(|name| name == "any") {
        faults.add(Field::Interfaces, FaultKind::AnyWithOthers);
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        let kind = if !seen.insert(name) {
            FaultKind::InterfaceRepeated {
                name: name.as_str().into(),
            }
        } else if let Some(rule) = broken_name_rule(name) {
            FaultKind::InterfaceName {
                name: name.as_str().into(),
                rule,
            }
        } else {
            continue;
        };
        faults.add_item(Field::Interfaces, index, kind);
    }
    match names {
        [name] if name == "any" => InterfaceSelection::Any,
        names => InterfaceSelection::Named(names.to_vec()),
    }
}

pub(super) fn too_many_interfaces(count: usize) -> FaultKind {
    FaultKind::TooManyInterfaces {
        count: count as u64,
        most: MAX_INTERFACES as u64,
    }
}

/// The rules of `dev_valid_name` (net/core/dev.c).
fn broken_name_rule(name: &str) -> Option<NameRule> {
    let forbidden = |c: char| matches!(c, '/' | ':' | '\0') || c.is_whitespace();
    if name.is_empty() {
        Some(NameRule::Empty)
    } else if name.len() > MAX_INTERFACE_NAME {
        Some(NameRule::TooLong)
    } else if name.contains(forbidden) {
        Some(NameRule::Character)
    } else if name == "." || name == ".." {
        Some(NameRule::Reserved)
    } else {
        None
    }
}

/// What must be there for what is there.
fn check_endpoints(spec: &TaskSpec, faults: &mut Faults) {
    let named = spec.address_type.as_deref();
    let named = named.and_then(|word| keyword::parse(word).ok());
    let pair_named = named == Some(AddressType::IpPair);
    if spec.ip.is_none() && spec.peer_ip.is_some() && spec.address_type.is_none() {
        faults.add(Field::Ip, FaultKind::PeerIpWithoutIp);
    }
    if !spec.peer_ports.is_empty() && spec.peer_ip.is_none() && !pair_named {
        faults.add(Field::PeerPorts, FaultKind::PeerPortsWithoutPeerIp);
    }
}

/// An `address_type` that is given must be what the addresses say.
fn check_address_type(spec: &TaskSpec, given: Option<AddressType>, faults: &mut Faults) {
    let Some(given) = given else { return };
    let rows = [
        (Field::Ip, spec.ip.is_some(), given != AddressType::Any),
        (
            Field::PeerIp,
            spec.peer_ip.is_some(),
            given == AddressType::IpPair,
        ),
    ];
    for (field, is_given, is_wanted) in rows {
        let address_type = given.keyword().to_owned();
        if is_wanted && !is_given {
            faults.add(
                field,
                FaultKind::AddressTypeNeeds {
                    address_type,
                    field,
                },
            );
        } else if is_given && !is_wanted {
            faults.add(
                field,
                FaultKind::AddressTypeExcludes {
                    address_type,
                    field,
                },
            );
        }
    }
}

fn resolve_addresses(
    field: Field,
    given: Option<&Addresses>,
    faults: &mut Faults,
) -> Option<Vec<IpNet>> {
    given.and_then(|given| address::parse(field, given, faults))
}

/// Some packet must be between an address of the one side and one of the other.
fn check_families(local: &Endpoint, peer: &Endpoint, faults: &mut Faults) {
    let version = |net: &IpNet| if net.addr().is_ipv4() { 4 } else { 6 };
    let (Some(local), Some(peer)) = (&local.addresses, &peer.addresses) else {
        return;
    };
    // They have none in common, so each is of one version.
    if let (Some(one), Some(other)) = (local.first(), peer.first())
        && local
            .iter()
            .all(|net| peer.iter().all(|other| version(net) != version(other)))
    {
        faults.add(
            Field::PeerIp,
            FaultKind::IpVersionsDiffer {
                ip: version(one),
                peer_ip: version(other),
            },
        );
    }
}

fn check_ports_have_protocol(spec: &TaskSpec, protocol: Protocol, faults: &mut Faults) {
    if protocol != Protocol::Icmp {
        return;
    }
    for (field, ports) in [
        (Field::Ports, &spec.ports),
        (Field::PeerPorts, &spec.peer_ports),
    ] {
        if !ports.is_empty() {
            faults.add(field, FaultKind::PortsOfIcmp { field });
        }
    }
}

fn resolve_max_bytes(value: &Quantity) -> Result<Option<u16>, FaultKind> {
    match units::size(value)? {
        0 => Ok(None),
        bytes => u16::try_from(bytes)
            .map(Some)
            .map_err(|_| FaultKind::MaxBytesTooLarge {
                bytes,
                most: u16::MAX.into(),
            }),
    }
}

fn resolve_rotate(rotate: &RotateSpec, origin: RequestOrigin, faults: &mut Faults) -> Rotate {
    let RotateSpec {
        bytes,
        seconds,
        files,
    } = rotate;
    if bytes.is_none() && seconds.is_none() {
        faults.add(Field::Rotate, FaultKind::RotationWithoutBound);
    }
    Rotate {
        bytes: faults.check_given(Field::RotateBytes, bytes.as_ref(), |value| {
            units::positive_size(value).and_then(|bytes| rotate_bytes(bytes, origin))
        }),
        seconds: faults.check_given(Field::RotateSeconds, seconds.as_ref(), units::seconds),
        files: faults.check_given(Field::RotateFiles, files.as_ref(), |value| {
            units::count(value, Counted::Files).and_then(|files| rotate_files(files, origin))
        }),
    }
}

fn rotate_bytes(bytes: u64, origin: RequestOrigin) -> Result<u64, FaultKind> {
    if origin == RequestOrigin::Daemon && bytes < DAEMON_LEAST_ROTATE_BYTES {
        return Err(FaultKind::RotateBytesTooSmall {
            bytes,
            least: DAEMON_LEAST_ROTATE_BYTES,
        });
    }
    Ok(bytes)
}

fn rotate_files(files: u64, origin: RequestOrigin) -> Result<u64, FaultKind> {
    if origin == RequestOrigin::Daemon && files > DAEMON_MAX_FILES {
        return Err(FaultKind::TooManyFiles {
            files,
            most: DAEMON_MAX_FILES,
        });
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
    for (field, limit, most, each) in [
        (
            Field::RotateBytes,
            Field::MaxFileBytes,
            max_file_bytes,
            bytes,
        ),
        (Field::RotateSeconds, Field::Duration, duration, seconds),
    ] {
        let files = most.zip(each).map(|(most, each)| most.div_ceil(each));
        if let Some(files) = files.filter(|files| *files > DAEMON_MAX_FILES) {
            faults.add(
                field,
                FaultKind::LimitMakesTooManyFiles {
                    limit,
                    files,
                    most: DAEMON_MAX_FILES,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests;
