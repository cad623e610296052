//! What can be wrong with a request: a kind for each rule, with the data that a sentence about it needs. Sentences
//! are in [`sentences`](super::sentences), so that each face says them in its own words; over HTTP the kind goes along
//! with the sentence, for programs and for the command line.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{field::Field, text::Excerpt};

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// JSON pointer (RFC 6901) of the field, `/peer_ip`, or of an item, `/ports/3`.
    pub pointer: String,
    /// The rule that is broken.
    pub kind: FaultKind,
}

impl Fault {
    /// A fault of a whole field.
    pub fn of(field: Field, kind: FaultKind) -> Self {
        Self {
            pointer: field.pointer(),
            kind,
        }
    }

    /// A fault of one item of a list, counted from 0.
    pub fn of_item(field: Field, index: usize, kind: FaultKind) -> Self {
        Self {
            pointer: format!("{}/{index}", field.pointer()),
            kind,
        }
    }
}

/// A rule that a request breaks. `reason` and the members are stable; a later version may have further reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[expect(missing_docs, reason = "most members are named for what they are")]
pub enum FaultKind {
    /// There is no name, and the daemon needs one.
    NameMissing,
    /// The name has no character but spaces.
    NameEmpty,
    /// The name has too many characters.
    NameTooLong { chars: u64, most: u64 },
    /// The name has a control character, or one that reorders text.
    NameUnprintable { code_point: u32 },

    /// No interface is given.
    NoInterface,
    /// More interfaces than a task may have.
    TooManyInterfaces { count: u64, most: u64 },
    /// `any` is not alone.
    AnyWithOthers,
    /// An interface is given twice.
    InterfaceRepeated { name: Excerpt },
    /// No interface can have this name.
    InterfaceName { name: Excerpt, rule: NameRule },
    /// The machine has no such interface.
    NoSuchInterface {
        name: Excerpt,
        /// A name that may have been meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<Excerpt>,
    },
    /// An interface of a kind that cannot be captured on.
    InterfaceUnsupported {
        name: Excerpt,
        /// Its kind.
        link: String,
    },
    /// An interface that the role may not capture on.
    InterfaceNotAllowed {
        name: Excerpt,
        /// Patterns of those that it may.
        allowed: Vec<String>,
    },
    /// A hook that the role may not use.
    HookNotAllowed {
        hook: String,
        /// Those that it may.
        allowed: Vec<String>,
    },

    /// The value is none of the words that the field takes.
    UnknownWord {
        word: Excerpt,
        /// A word that may have been meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
        /// All words.
        allowed: Vec<String>,
    },

    /// Several protocols, each of them known.
    SeveralProtocols { text: Excerpt },

    /// Neither an address nor a prefix.
    NotAnAddress { text: Excerpt },
    /// Digits and dots that are not an IPv4 address.
    NotIpv4 { text: Excerpt },
    /// A host's name. Names are not resolved.
    HostName { text: Excerpt, host: String },
    /// A list of addresses without any.
    NoAddress,
    /// More addresses and prefixes than a task has of one side.
    TooManyAddresses { count: u64, most: u64 },
    /// An end of a range is no address, or not of the IP version of the other.
    NotAnAddressRange { text: Excerpt },
    /// The first address of a range is above the last.
    AddressRangeBackwards {
        text: Excerpt,
        first: String,
        last: String,
    },
    /// An IPv6 address with a zone.
    AddressWithZone {
        text: Excerpt,
        /// The address without it.
        address: String,
        zone: Excerpt,
    },
    /// An address with a port.
    AddressWithPort {
        text: Excerpt,
        /// The address without it.
        address: String,
        port: u16,
    },
    /// An address in brackets.
    AddressInBrackets {
        text: Excerpt,
        /// What is in them.
        address: Excerpt,
    },
    /// An IPv4-mapped address, which packets do not carry.
    Ipv4Mapped {
        text: Excerpt,
        /// The same as IPv4.
        ipv4: String,
    },
    /// A netmask instead of a prefix length.
    Netmask {
        text: Excerpt,
        /// The prefix length that means the same, where there is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        prefix_length: Option<u32>,
    },
    /// Nothing, or no number, behind the slash.
    NoPrefixLength { text: Excerpt },
    /// The prefix length is larger than the address.
    PrefixTooLong { text: Excerpt, most: u8 },
    /// `peer_ip` is given, and `ip` is not.
    PeerIpWithoutIp,
    /// All addresses of `ip` are of one IP version, and those of `peer_ip` of the other.
    IpVersionsDiffer { ip: u8, peer_ip: u8 },
    /// `address_type` needs an address that is not given.
    AddressTypeNeeds { address_type: String, field: Field },
    /// `address_type` excludes an address that is given.
    AddressTypeExcludes { address_type: String, field: Field },

    /// A list of ports has too many items.
    TooManyPorts { count: u64, most: u64 },
    /// An item is empty.
    PortEmpty,
    /// Neither a port nor a range.
    NotAPort { text: Excerpt, form: PortForm },
    /// A number that is beyond the ports.
    PortOutOfRange { text: Excerpt },
    /// The first port of a range is above the last.
    PortRangeBackwards {
        text: Excerpt,
        first: u16,
        last: u16,
    },
    /// `peer_ports` is given, and `peer_ip` is not.
    PeerPortsWithoutPeerIp,
    /// Ports of a protocol that has none.
    PortsOfIcmp { field: Field },

    /// Not a size.
    NotASize { text: Excerpt },
    /// More than 8 EiB.
    SizeTooLarge { text: Excerpt },
    /// A size of nothing.
    ZeroSize,
    /// Not a duration.
    NotADuration { text: Excerpt },
    /// Beyond the longest duration, in seconds.
    DurationTooLong { text: Excerpt, most: u64 },
    /// A duration of nothing.
    ZeroDuration,
    /// Not a whole number.
    NotACount { text: Excerpt, of: Counted },
    /// A number beyond 63 bits.
    CountTooLarge { text: Excerpt, most: u64 },
    /// A number of nothing.
    ZeroCount { of: Counted },
    /// A number below zero.
    Negative { text: Excerpt },

    /// `max_bytes` is longer than frames are.
    MaxBytesTooLarge { bytes: u64, most: u64 },
    /// A limit that is less than a file without packets.
    BelowEmptyFile { bytes: u64, least: u64 },
    /// Seconds beyond what the configuration allows.
    DurationAboveLimit { seconds: u64, most: u64 },
    /// More bytes than are left of the disk budget.
    OverDiskBudget {
        needed: u64,
        available: u64,
        budget: u64,
    },

    /// `rotate` says neither when by size nor when by time.
    RotationWithoutBound,
    /// Files of the daemon are larger.
    RotateBytesTooSmall { bytes: u64, least: u64 },
    /// More files than a task of the daemon may have.
    TooManyFiles { files: u64, most: u64 },
    /// A limit of the task allows more files than a task of the daemon may have.
    LimitMakesTooManyFiles {
        /// The limit.
        limit: Field,
        files: u64,
        most: u64,
    },
    /// `rotate` has no such field.
    UnknownRotateField { name: Excerpt },

    /// Not a time.
    NotATime,
    /// A start more than a year ahead.
    StartTooFar,
    /// A start more than an hour ago.
    StartPast,

    /// A task has no such field.
    UnknownField {
        /// A field that may have been meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        near: Option<String>,
    },
    /// A JSON value of another type than the field has.
    WrongType {
        expected: ExpectedType,
        found: JsonType,
        /// The value, where it is a number, a boolean or text.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Excerpt>,
    },
}

impl FaultKind {
    /// Stable word for programs, for many reasons at once.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NameMissing
            | Self::NoInterface
            | Self::NoAddress
            | Self::PeerIpWithoutIp
            | Self::AddressTypeNeeds { .. }
            | Self::RotationWithoutBound => "required",
            Self::AnyWithOthers
            | Self::InterfaceRepeated { .. }
            | Self::IpVersionsDiffer { .. }
            | Self::AddressTypeExcludes { .. }
            | Self::PeerPortsWithoutPeerIp
            | Self::PortsOfIcmp { .. } => "conflict",
            Self::NoSuchInterface { .. }
            | Self::InterfaceUnsupported { .. }
            | Self::UnknownWord { .. }
            | Self::UnknownField { .. } => "unknown",
            Self::NameTooLong { .. }
            | Self::TooManyInterfaces { .. }
            | Self::PrefixTooLong { .. }
            | Self::TooManyAddresses { .. }
            | Self::TooManyPorts { .. }
            | Self::PortOutOfRange { .. }
            | Self::SizeTooLarge { .. }
            | Self::ZeroSize
            | Self::DurationTooLong { .. }
            | Self::ZeroDuration
            | Self::CountTooLarge { .. }
            | Self::ZeroCount { .. }
            | Self::Negative { .. }
            | Self::MaxBytesTooLarge { .. }
            | Self::BelowEmptyFile { .. }
            | Self::DurationAboveLimit { .. }
            | Self::RotateBytesTooSmall { .. }
            | Self::TooManyFiles { .. }
            | Self::LimitMakesTooManyFiles { .. }
            | Self::StartTooFar
            | Self::StartPast => "out_of_range",
            Self::InterfaceNotAllowed { .. } | Self::HookNotAllowed { .. } => "not_allowed",
            Self::OverDiskBudget { .. } => "disk_budget",
            Self::NameEmpty
            | Self::NameUnprintable { .. }
            | Self::InterfaceName { .. }
            | Self::SeveralProtocols { .. }
            | Self::NotAnAddress { .. }
            | Self::NotIpv4 { .. }
            | Self::HostName { .. }
            | Self::NotAnAddressRange { .. }
            | Self::AddressRangeBackwards { .. }
            | Self::AddressWithZone { .. }
            | Self::AddressWithPort { .. }
            | Self::AddressInBrackets { .. }
            | Self::Ipv4Mapped { .. }
            | Self::Netmask { .. }
            | Self::NoPrefixLength { .. }
            | Self::PortEmpty
            | Self::NotAPort { .. }
            | Self::PortRangeBackwards { .. }
            | Self::NotASize { .. }
            | Self::NotADuration { .. }
            | Self::NotACount { .. }
            | Self::UnknownRotateField { .. }
            | Self::NotATime
            | Self::WrongType { .. } => "invalid",
        }
    }
}

/// What is wrong with the name of an interface (`dev_valid_name` of net/core/dev.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NameRule {
    /// It is empty.
    Empty,
    /// It has more than 15 bytes.
    TooLong,
    /// It has a slash, a colon, a space or NUL.
    Character,
    /// It is `.` or `..`.
    Reserved,
}

/// What somebody has written instead of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PortForm {
    /// Several ports in one item.
    Several,
    /// Perhaps the name of a service.
    Service,
    /// Something else.
    Other,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Packets.
    Packets,
    /// Files.
    Files,
}

/// The type that a field has in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedType {
    /// A string.
    Text,
    /// A boolean.
    Boolean,
    /// An array.
    List,
    /// A string, or an array of strings.
    Addresses,
    /// A whole number, or a string with a unit.
    Quantity,
    /// An object with the fields of `rotate`.
    Rotation,
}

/// A type of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    List,
    /// An object.
    Object,
}
