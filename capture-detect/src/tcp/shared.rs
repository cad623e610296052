//! What all connections share.

use super::{fingerprints::Fingerprints, recoveries::Recoveries};

/// See above.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// Segments that were seen, for copies of them.
    pub fingerprints: Fingerprints,
    /// Holes and resends.
    pub recoveries: Recoveries,
}
