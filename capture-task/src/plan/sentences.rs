//! What is said of each fault: one sentence, what is wrong and what to do about it. This is the only place with such
//! sentences; a face gives its [`Wording`] of the fields.
//!
//! In every sentence the user's own text stands in double quotes.

use std::time::Duration;

use super::{
    fault::{Counted, ExpectedType, FaultKind, JsonType, NameRule, PortForm},
    field::Field,
    text::Excerpt,
};
use crate::amount::duration_text;

/// How a face speaks of fields.
#[derive(Clone, Copy, Debug)]
pub struct Wording {
    /// What a field is called: `` `peer_ip` ``, `--peer-ip`.
    pub name: fn(Field) -> String,
    /// Whether a sentence stands behind the name of its field, as in `--duration: it is …`.
    pub follows_name: bool,
}

impl Wording {
    /// The words of the API: the keys of its JSON, in sentences that stand alone.
    pub const API: Self = Self {
        name: |field| format!("`{}`", field.name()),
        follows_name: false,
    };

    fn of(self, field: Field) -> String {
        (self.name)(field)
    }

    /// The field of the fault as the first word of its sentence.
    fn subject(self, field: Field) -> String {
        if self.follows_name {
            "it".to_owned()
        } else {
            self.of(field)
        }
    }
}

impl FaultKind {
    /// The sentence, in the words of a face. A table, however long.
    pub fn sentence(&self, wording: Wording) -> String {
        match self {
            Self::NameMissing => "a task needs a name that tells its purpose".to_owned(),
            Self::NameEmpty => "the name shows nothing; write what the capture is for".to_owned(),
            Self::NameTooLong { chars, most } => {
                format!("the name has {chars} characters; the most is {most}")
            }
            Self::NameUnprintable { code_point } => {
                format!("the name holds the unprintable character U+{code_point:04X}; leave it out")
            }
            Self::NoInterface => {
                "no interface is given; name at least one, or \"any\" for all".to_owned()
            }
            Self::TooManyInterfaces { count, most } => {
                format!("{count} interfaces are too many; name at most {most}, or \"any\" for all")
            }
            Self::AnyWithOthers => {
                "\"any\" already covers every interface; give it alone".to_owned()
            }
            Self::InterfaceRepeated { name } => format!("{name} is given twice; give it once"),
            Self::InterfaceName { name, rule } => {
                format!("{name} is not an interface name: {}", of_name(*rule))
            }
            Self::NoSuchInterface { name, near } => {
                let hint = near.as_ref().map_or_else(
                    || "`capture-agent interfaces` lists what there is".to_owned(),
                    |near| format!("did you mean {near}?"),
                );
                format!("there is no interface {name}; {hint}")
            }
            Self::InterfaceUnsupported { name, link } => {
                format!("{name} cannot be captured on: {link}")
            }
            Self::InterfaceNotAllowed { name, allowed } => format!(
                "your role may not capture on {name}; {}",
                allowed_words("`access.operator_interfaces`", allowed)
            ),
            Self::HookNotAllowed { hook, allowed } => format!(
                "your role may not use the hook {hook}; {}",
                allowed_words("`access.operator_hooks`", allowed)
            ),
            Self::UnknownWord {
                word,
                near,
                allowed,
            } => {
                let allowed: Vec<_> = allowed.iter().map(|word| format!("\"{word}\"")).collect();
                let hint = near
                    .as_ref()
                    .map(|near| format!(" (did you mean \"{near}\"?)"))
                    .unwrap_or_default();
                format!(
                    "{word} is not known{hint}; allowed are {}",
                    allowed.join(", ")
                )
            }
            Self::SeveralProtocols { text } => format!(
                "{text} is more than one protocol, and a task has one; make a task of each, or leave {} out to take all",
                wording.of(Field::Protocol)
            ),
            Self::NotAnAddress { text } => format!(
                "{text} is not an address; write one as in {}",
                match text.as_str() {
                    text if text.is_empty() || text.starts_with('/') =>
                        "\"10.0.0.1\", or a prefix as in \"10.0.0.0/8\"",
                    _ => "\"10.0.0.1\" or \"2001:db8::1\"",
                }
            ),
            Self::NotIpv4 { text } => format!(
                "{text} is not an IPv4 address; write four numbers from 0 to 255 without leading zeros"
            ),
            Self::HostName { text, host } => format!(
                "capture-agent takes addresses, not names: {text}; try `getent hosts {host}`"
            ),
            Self::NoAddress => {
                "the list has no address; write one, or leave it out to take every address"
                    .to_owned()
            }
            Self::TooManyAddresses { count, most } => format!(
                "{count} addresses are too many; a list has at most {most}, and a prefix as in \"10.0.0.0/24\" counts as one"
            ),
            Self::NotAnAddressRange { text } => format!(
                "{text} is not a range of addresses; write both ends in full and of one IP version, as in \"10.0.0.5-10.0.0.9\""
            ),
            Self::AddressRangeBackwards { text, first, last } => {
                format!("{text} runs backwards; write \"{last}-{first}\"")
            }
            Self::AddressWithZone {
                text,
                address,
                zone,
            } => format!(
                "{text} has a zone, which packets do not carry; write \"{address}\" and name {zone} in {}",
                wording.of(Field::Interfaces)
            ),
            Self::AddressWithPort {
                text,
                address,
                port,
            } => format!(
                "{text} has a port; write \"{address}\" here and {port} in the ports of this address"
            ),
            Self::AddressInBrackets { text, address } => {
                format!("{text} has brackets; write {address} without")
            }
            Self::Ipv4Mapped { text, ipv4 } => format!(
                "{text} is an IPv4-mapped address, which packets do not carry; write \"{ipv4}\""
            ),
            Self::Netmask {
                text,
                prefix_length,
            } => {
                let hint = prefix_length.map_or_else(
                    || "as in \"/24\"".to_owned(),
                    |length| format!("\"/{length}\""),
                );
                format!("{text} has a netmask; write the prefix length, {hint}")
            }
            Self::NoPrefixLength { text } => {
                format!("{text} has no prefix length after the slash; write one as in \"/24\"")
            }
            Self::PrefixTooLong { text, most } => {
                format!("{text} has a prefix length beyond {most}")
            }
            Self::PeerIpWithoutIp => format!(
                "{} is the other side of a pair; give {ip}, or {ip} alone",
                wording.of(Field::PeerIp),
                ip = wording.of(Field::Ip)
            ),
            Self::IpVersionsDiffer { ip, peer_ip } => format!(
                "{} is IPv{ip} and {} is IPv{peer_ip}, and no packet has both; give addresses of one version",
                wording.of(Field::Ip),
                wording.of(Field::PeerIp)
            ),
            Self::AddressTypeNeeds {
                address_type,
                field,
            } => format!(
                "{} is \"{address_type}\", which needs {}",
                wording.of(Field::AddressType),
                wording.of(*field)
            ),
            Self::AddressTypeExcludes {
                address_type,
                field,
            } => format!(
                "{} is \"{address_type}\", which takes no {}",
                wording.of(Field::AddressType),
                wording.of(*field)
            ),
            Self::TooManyPorts { count, most } => format!(
                "{count} items are too many; a list has at most {most}, and ranges count as one, as in \"8000-8100\""
            ),
            Self::PortEmpty => {
                "an item of the list is empty; write ports as in 443 or \"8000-8100\"".to_owned()
            }
            Self::NotAPort { text, form } => {
                format!("{text} is not a port; {}", instead_of_port(*form, text))
            }
            Self::PortOutOfRange { text } => {
                format!("{text} is not a port; ports go from 0 to 65535")
            }
            Self::PortRangeBackwards { text, first, last } => {
                format!("{text} runs backwards; write \"{last}-{first}\"")
            }
            Self::PeerPortsWithoutPeerIp => format!(
                "{} belongs to {}; give that too, or use {}",
                wording.subject(Field::PeerPorts),
                wording.of(Field::PeerIp),
                wording.of(Field::Ports)
            ),
            Self::PortsOfIcmp { field } => format!(
                "ICMP has no ports; leave {} out, or choose tcp or udp",
                wording.of(*field)
            ),
            Self::NotASize { text } => format!(
                "{text} is not a size; write whole bytes, or a unit as in \"64MiB\" or \"10MB\""
            ),
            Self::SizeTooLarge { text } => format!("{text} is more than 8 EiB"),
            Self::ZeroSize => {
                "0 leaves no room for any packet; leave it out for no limit".to_owned()
            }
            Self::NotADuration { text } => format!(
                "{text} is not a duration; write seconds, or units as in \"90s\", \"10m\", \"1h30m\", \"1d\""
            ),
            Self::DurationTooLong { text, most } => {
                format!("{text} is too long; the most is \"{}d\"", most / 86_400)
            }
            Self::ZeroDuration => "0 seconds is no time; the least is 1 second".to_owned(),
            Self::NotACount { text, of } => format!(
                "{text} is not a number of {}; write a whole number such as 1000",
                counted(*of)
            ),
            Self::CountTooLarge { text, most } => {
                format!("{text} is too many; the most is {most}")
            }
            Self::ZeroCount { of } => format!("0 {} is too few; the least is 1", counted(*of)),
            Self::Negative { text } => format!("{text} is negative"),
            Self::MaxBytesTooLarge { bytes, most } => {
                format!("{bytes} is more than {most}; use 0, the default, to keep whole frames")
            }
            Self::BelowEmptyFile { bytes, least } => format!(
                "{bytes} is less than the {least} bytes of a file without packets; give more"
            ),
            Self::DurationAboveLimit { seconds, most } => format!(
                "{} is {}; the most here is {} (`limits.max_duration`)",
                wording.subject(Field::Duration),
                duration_text(Duration::from_secs(*seconds)),
                duration_text(Duration::from_secs(*most))
            ),
            Self::OverDiskBudget {
                needed,
                available,
                budget,
            } => format!(
                "the task may write {needed} bytes, and {available} of the disk budget of {budget} are left; lower {}, or delete tasks",
                wording.of(Field::MaxFileBytes)
            ),
            Self::RotationWithoutBound => format!(
                "rotation needs {} or {}, to know when",
                wording.of(Field::RotateBytes),
                wording.of(Field::RotateSeconds)
            ),
            Self::RotateBytesTooSmall { bytes, least } => format!(
                "{bytes} is too small for the files of a daemon; the least is {least} (\"{}KiB\")",
                least >> 10
            ),
            Self::TooManyFiles { files, most } => {
                format!("{files} files are too many; a task of the daemon has at most {most}")
            }
            Self::LimitMakesTooManyFiles { limit, files, most } => format!(
                "with this {} it makes {files} files, and a task of the daemon has at most {most}; give more, or {}",
                wording.of(*limit),
                wording.of(Field::RotateFiles)
            ),
            Self::UnknownRotateField { name } => {
                format!("{name} is no field of a rotation; it has `bytes`, `seconds` and `files`")
            }
            Self::NotATime => match wording.follows_name {
                true => {
                    "write a time as in \"22:00\", \"+5m\" or \"2026-03-01T08:00:00Z\"".to_owned()
                }
                false => format!(
                    "{} is a time as in \"2026-03-01T08:00:00Z\"",
                    wording.of(Field::StartAt)
                ),
            },
            Self::StartTooFar => format!(
                "{} is more than a year ahead; create the task nearer to its time",
                wording.subject(Field::StartAt)
            ),
            Self::StartPast => format!(
                "{} is more than an hour ago; leave it out for a start at once",
                wording.subject(Field::StartAt)
            ),
            Self::UnknownField { near } => {
                let hint = near
                    .as_ref()
                    .map(|near| format!(" (did you mean `{near}`?)"))
                    .unwrap_or_default();
                format!("a task has no such field{hint}")
            }
            Self::WrongType {
                expected,
                found,
                value,
            } => format!(
                "{} is expected, not {}",
                type_expected(*expected),
                value_found(*found, value.as_ref())
            ),
        }
    }
}

fn of_name(rule: NameRule) -> &'static str {
    match rule {
        NameRule::Empty => "it is empty",
        NameRule::TooLong => "names have at most 15 bytes",
        NameRule::Character => "names hold no slash, colon, space or NUL",
        NameRule::Reserved => "the name is reserved",
    }
}

fn instead_of_port(form: PortForm, text: &Excerpt) -> String {
    match form {
        PortForm::Several => "one item is one port, or one range as in \"8000-8100\"".to_owned(),
        PortForm::Service => {
            format!(
                "write its number; try `getent services {}`",
                text.as_str().escape_debug()
            )
        }
        PortForm::Other => {
            "write a number from 0 to 65535, or a range as in \"8000-8100\"".to_owned()
        }
    }
}

fn counted(of: Counted) -> &'static str {
    match of {
        Counted::Packets => "packets",
        Counted::Files => "files",
    }
}

fn type_expected(expected: ExpectedType) -> &'static str {
    match expected {
        ExpectedType::Text => "text",
        ExpectedType::Boolean => "true or false",
        ExpectedType::List => "a list",
        ExpectedType::Addresses => "an address as text, or a list of them,",
        ExpectedType::Quantity => "a whole number, or text such as \"10m\" or \"8000-8100\",",
        ExpectedType::Rotation => "a table of `bytes`, `seconds` and `files`",
    }
}

fn value_found(found: JsonType, value: Option<&Excerpt>) -> String {
    match (found, value) {
        (JsonType::Text, Some(text)) => text.to_string(),
        (JsonType::Number | JsonType::Boolean, Some(value)) => {
            value.as_str().escape_debug().to_string()
        }
        (JsonType::Null, _) => "null".to_owned(),
        (JsonType::Boolean, None) => "true or false".to_owned(),
        (JsonType::Number, None) => "a number".to_owned(),
        (JsonType::Text, None) => "text".to_owned(),
        (JsonType::List, _) => "a list".to_owned(),
        (JsonType::Object, _) => "a table".to_owned(),
    }
}

/// What a role may, by a key of the daemon's configuration.
fn allowed_words(key: &str, allowed: &[String]) -> String {
    match allowed {
        [] => format!("{key} allows none"),
        allowed => format!("{key} allows {}", allowed.join(", ")),
    }
}

#[cfg(test)]
mod tests;
