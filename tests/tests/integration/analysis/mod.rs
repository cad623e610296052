//! The analyzer against the truth: connections over a network whose faults a relay makes, captured at both
//! ends; and what servers, attackers and firewalls in namespaces do.

mod apps;
mod engines;
mod faults;
mod habits;
mod judge;
mod network;
mod ordinary;
mod run;
mod security;
mod truth;
mod wireshark;
