//! NTP (RFC 5905), its control messages (RFC 9327), and the private ones of ntpd.

/// Port.
pub const PORT: u16 = 123;

/// Modes.
pub mod mode {
    /// A client asks.
    pub const CLIENT: u8 = 3;
    /// A server answers.
    pub const SERVER: u8 = 4;
    /// Control messages.
    pub const CONTROL: u8 = 6;
    /// Private messages.
    pub const PRIVATE: u8 = 7;
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Version, 1 to 4.
    pub version: u8,
    /// Mode.
    pub mode: u8,
    /// Of control and private messages: whether it is an answer.
    pub is_response: bool,
    /// Of control messages their operation, of private ones what is asked for.
    pub request: u8,
}

impl Packet {
    /// A packet, if it can be one.
    #[inline]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let [first, second, _, request, ..] = *bytes else {
            return None;
        };
        let (version, mode) = (first >> 3 & 7, first & 7);
        let least = match mode {
            mode::PRIVATE => 8,
            mode::CONTROL => 12,
            _ => 48,
        };
        if !(1..=4).contains(&version) || bytes.len() < least {
            return None;
        }
        let (is_response, request) = match mode {
            mode::PRIVATE => (first & 0x80 != 0, request),
            mode::CONTROL => (second & 0x80 != 0, second & 0x1f),
            _ => (mode == mode::SERVER, 0),
        };
        Some(Self {
            version,
            mode,
            is_response,
            request,
        })
    }

    /// Whether it asks for, or is a part of, the list of the last clients, which is much longer than the question
    /// (CVE-2013-5211).
    pub fn is_monlist(&self) -> bool {
        self.mode == mode::PRIVATE && matches!(self.request, 20 | 42)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        let client = Packet::new(&[&[0x23][..], &[0; 47]].concat()).expect("a packet");
        assert_eq!((client.version, client.mode), (4, mode::CLIENT));
        assert!(!client.is_monlist() && !client.is_response);
        let monlist = Packet::new(&[0x17, 0, 3, 42, 0, 0, 0, 0]).expect("a packet");
        assert!(monlist.is_monlist() && !monlist.is_response);
        assert!(Packet::new(&[0x97, 0, 3, 42, 0, 0, 0, 0]).is_some_and(|found| found.is_response));
        assert_eq!(Packet::new(&[0x23; 47]), None, "too short for the time");
        assert_eq!(Packet::new(&[0x03; 48]), None, "version 0");
    }
}
