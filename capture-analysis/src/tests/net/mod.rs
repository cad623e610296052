//! For each finding a capture that has it, and its innocent neighbour that has not.

mod dns;
mod hostile;
mod link;
mod names;
mod neighbours;
mod network;
mod tunnels;
