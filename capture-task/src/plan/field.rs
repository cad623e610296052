//! The fields of a request by the names that the API has for them. Messages and the command line speak of fields
//! by this type, so that each face can give them names of its own.

use serde::{Deserialize, Serialize};

/// The fields, with their names.
macro_rules! fields {
    ($($field:ident = $name:literal,)*) => {
        /// A field of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Field {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $field,
            )*
        }

        impl Field {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$field),*];

            /// The name in the API, with a dot before a field of `rotate`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)*
                }
            }
        }
    };
}

fields! {
    Name = "name",
    Interfaces = "interfaces",
    Direction = "direction",
    Hook = "hook",
    Protocol = "protocol",
    AddressType = "address_type",
    Ip = "ip",
    Ports = "ports",
    PeerIp = "peer_ip",
    PeerPorts = "peer_ports",
    IcmpErrors = "icmp_errors",
    MaxBytes = "max_bytes",
    Oversize = "oversize",
    Duration = "duration",
    MaxPackets = "max_packets",
    MaxFileBytes = "max_file_bytes",
    Format = "format",
    Rotate = "rotate",
    RotateBytes = "rotate.bytes",
    RotateSeconds = "rotate.seconds",
    RotateFiles = "rotate.files",
    StartAt = "start_at",
}

impl Field {
    /// The field of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|field| field.name() == name)
    }

    /// The field that a JSON pointer leads to, or into.
    pub fn at(pointer: &str) -> Option<Self> {
        let mut parts = pointer.strip_prefix('/')?.split('/');
        let first = parts.next()?;
        let second = parts.next();
        second
            .and_then(|second| Self::named(&format!("{first}.{second}")))
            .or_else(|| Self::named(first))
    }

    /// The JSON pointer of the field (RFC 6901): `/rotate/bytes`.
    pub fn pointer(self) -> String {
        format!("/{}", self.name().replace('.', "/"))
    }

    /// Whether it is a key of a [`TaskSpec`](crate::task::TaskSpec) itself.
    pub(super) fn is_task_key(self) -> bool {
        match self {
            Self::RotateBytes | Self::RotateSeconds | Self::RotateFiles | Self::StartAt => false,
            Self::Name
            | Self::Interfaces
            | Self::Direction
            | Self::Hook
            | Self::Protocol
            | Self::AddressType
            | Self::Ip
            | Self::Ports
            | Self::PeerIp
            | Self::PeerPorts
            | Self::IcmpErrors
            | Self::MaxBytes
            | Self::Oversize
            | Self::Duration
            | Self::MaxPackets
            | Self::MaxFileBytes
            | Self::Format
            | Self::Rotate => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_its_pointer() {
        for field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(*field));
            assert_eq!(Field::at(&field.pointer()), Some(*field));
            let json = serde_json::to_value(field).expect("JSON");
            assert_eq!(json, field.name());
        }
    }

    #[test]
    fn a_pointer_may_lead_into_a_field() {
        assert_eq!(Field::at("/ports/3"), Some(Field::Ports));
        assert_eq!(Field::at("/rotate/other"), Some(Field::Rotate));
        for other in ["", "/", "ports", "/prots"] {
            assert_eq!(Field::at(other), None, "{other}");
        }
    }
}
