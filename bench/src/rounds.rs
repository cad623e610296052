//! What the smaller benchmarks have in common: runs that take turns, held to targets.

use capture_bench::target::Target;
use serde::Serialize;

/// The rounds of a benchmark. In JSON they are all runs.
pub(crate) trait Rounds: Serialize {
    /// What they are held to.
    fn targets(&self) -> Vec<Target>;

    /// Prints medians.
    fn print(&self);
}
