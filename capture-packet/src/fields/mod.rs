//! The tree of fields of one packet: names, values and byte ranges as in Wireshark, for people who look at it. Apart from
//! `decode`, which is for every packet of a capture and keeps no ranges.

mod app;
mod field;
pub mod known;
mod stream;
mod table;
mod tls;
mod transport;
mod walk;

pub use self::field::{Field, Value};
use self::walk::Walk;

/// The layers of a frame that begins as the LINKTYPE_ number says, from the outermost to the innermost. Fields that the
/// capture cut off are left out.
pub fn fields(link_type: u16, frame: &[u8]) -> Vec<Field> {
    let mut walk = Walk::new(frame);
    walk.link(link_type);
    walk.layers
}

#[cfg(test)]
pub(crate) mod tests;
