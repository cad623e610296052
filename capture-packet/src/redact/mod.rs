//! Takes out of a frame what another must not see: the payload behind the transport header, and with pseudonyms all
//! addresses in the headers before it.
//!
//! Header after header is copied as far as it is understood. The first byte that is not ends the frame, so nothing gets out
//! because nobody has thought of it. Lengths in headers stay as they were; the frame is as one that was captured with a
//! shorter snap length.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `link`, `ip`, `transport`, `icmp` | the layers, as `decode` knows them |
//! | `options` | what headers carry beside their fields |
//! | `pseudonym` | addresses |
//! | `checksum` | made right again, or left wrong |

mod checksum;
mod icmp;
mod ip;
mod link;
mod options;
mod pseudonym;
mod rewriter;
#[cfg(test)]
mod tests;
mod transport;

pub use self::pseudonym::{KEY_LEN, Pseudonyms};
use self::rewriter::{Next, Rewriter};

/// Takes the payload out of frames, and addresses where it has pseudonyms for them.
pub struct Redactor {
    pseudonyms: Option<Pseudonyms>,
}

impl Redactor {
    /// Only the payload goes.
    pub fn stripping() -> Self {
        Self { pseudonyms: None }
    }

    /// The payload goes, and addresses become those of `pseudonyms`.
    pub fn anonymising(pseudonyms: Pseudonyms) -> Self {
        Self {
            pseudonyms: Some(pseudonyms),
        }
    }

    /// Puts in `out` what may be seen of a frame, of `wire_len` bytes on the wire, that begins as the LINKTYPE_ number says.
    /// It is at most as long as the frame.
    pub fn redact(&mut self, link_type: u16, frame: &[u8], wire_len: u32, out: &mut Vec<u8>) {
        out.clear();
        let mut rewriter = Rewriter::new(frame, wire_len, out, self.pseudonyms.as_mut());
        let mut next = link::first(link_type, &mut rewriter);
        loop {
            next = match next {
                Next::End => break,
                Next::Ethernet => rewriter.ethernet(),
                Next::EtherType(kind) => rewriter.by_ether_type(kind),
                Next::Ip => rewriter.ip(),
                Next::Ipv4 => rewriter.ipv4(),
                Next::Ipv6 => rewriter.ipv6(),
                Next::Transport(carried) => rewriter.transport(&carried),
            };
        }
        rewriter.finish();
    }
}
