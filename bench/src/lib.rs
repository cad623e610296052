//! What the benchmarks share: the machine, medians, targets, tables.

pub mod machine;
pub mod median;
pub mod table;
pub mod target;
