//! The command line: arguments, the foreground capture, the client of the daemon, and what people see.

pub mod cli;
