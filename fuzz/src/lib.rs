//! Targets for fuzzing: each takes any bytes, and panics where the product does not keep what it promises of them.
//! `cargo xtask fuzz` runs them under libFuzzer; the tests run them on kept inputs, on [seeds], and on
//! [mutated](mutate::Mutator) files.
//!
//! | in the order of flow | |
//! | --- | --- |
//! | `seeds` | small frames and files of every kind to begin with |
//! | `mutate` | other files from these |
//! | `files` | readers and recovery |
//! | `packets` | decoders |
//! | `filters` | display filters |
//! | `analysis` | the analyzer, on files and on TCP connections made from bytes |

mod analysis;
mod files;
mod filters;
pub mod mutate;
mod packets;
pub mod seeds;

/// Something that takes any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its directory in `corpus`.
    pub name: &'static str,
    /// Runs it; panics where something is wrong.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 6] = [
    Target {
        name: "reader",
        run: files::reader,
        seeds: seeds::files,
    },
    Target {
        name: "recovery",
        run: files::recovery,
        seeds: seeds::files,
    },
    Target {
        name: "decode",
        run: packets::decode,
        seeds: seeds::frames,
    },
    Target {
        name: "filter",
        run: filters::filter,
        seeds: seeds::filters,
    },
    Target {
        name: "analyzer",
        run: analysis::analyzer,
        seeds: seeds::files,
    },
    Target {
        name: "connection",
        run: analysis::connection,
        seeds: seeds::connections,
    },
];

impl Target {
    /// The target of a name.
    pub fn find(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
