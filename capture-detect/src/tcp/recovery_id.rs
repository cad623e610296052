//! Which entry of `Recoveries` a direction of data has.

/// The default is none yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryId(pub(super) u64);
