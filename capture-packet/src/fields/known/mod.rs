//! Every field that a packet can have here: its name, its type and what it is. Filters are checked against this table, a
//! console completes from it, and `docs/reference/fields.md` is made of it.

mod app;
mod entry;
mod frame;
mod link;
mod network;
#[cfg(test)]
mod page;
mod stream;
mod transport;

pub use self::entry::{Kind, Known};

const TABLES: [&[Known]; 6] = [
    frame::FRAME,
    link::LINK,
    network::NETWORK,
    transport::TRANSPORT,
    stream::STREAM,
    app::APP,
];

/// All fields, from the link layer to applications, each layer before its fields.
pub fn all() -> impl Iterator<Item = &'static Known> {
    TABLES.iter().copied().flatten()
}

/// The field of this name.
pub fn find(name: &str) -> Option<&'static Known> {
    all().find(|known| known.name == name)
}
