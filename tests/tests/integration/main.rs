//! Whole captures, a module for each subject: `cargo test -p capture-tests --test integration output::` runs
//! one. It is one binary, because a binary for each subject is as many links. Apart from it are `serial`,
//! whose tests need the machine to themselves, and `disk`, which is a file system in its own process.

mod accounts;
mod binary;
mod coexistence;
mod daemon_api;
mod daemon_cli;
mod daemon_full_disk;
mod daemon_outsiders;
mod daemon_privileges;
mod daemon_recovery;
mod daemon_reload;
mod daemon_signals;
mod daemon_tasks;
mod daemon_watch;
mod destinations;
mod differential;
mod documents;
mod errors;
mod filters;
mod fixture;
mod following;
mod foreign;
mod interfaces;
mod killed;
mod matcher;
mod output;
mod replay;
mod seccomp;
mod service_blocks;
mod shapes;
mod signals;
mod stacked;
mod stdout;
mod tasks;
mod tcp;
mod unit;
