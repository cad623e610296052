//! The analyzer against the truth: connections over a network whose faults a relay makes, captured at both ends.

mod faults;
mod run;
mod truth;
