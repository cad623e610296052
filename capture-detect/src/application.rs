//! What is kept in each flow of its application.

/// An application protocol.
#[derive(Clone, Debug)]
pub struct Kind {
    /// As people write it.
    pub name: &'static str,
    /// Ports that its servers use; empty where any is usual.
    pub ports: &'static [u16],
}

/// What is known of the application of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Application {
    /// Whether it is looked into.
    pub following: Following,
    /// What it is, once that is known.
    pub kind: Option<&'static Kind>,
}

/// Whether a flow is looked into.
#[derive(Clone, Copy, Debug, Default)]
pub enum Following {
    /// Nothing was said yet.
    #[default]
    New,
    /// Under this key of the table.
    Followed(u64),
    /// Nothing more is looked at.
    Done,
}
