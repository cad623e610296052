//! A target of `capture-fuzz` under libFuzzer, which has `main`. The environment names the target, so that one build serves
//! all, and a directory that its seeds go into.

#![no_main]

use std::{env, fs, path::PathBuf, sync::LazyLock};

use capture_fuzz::Target;
use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = env::var("CAPTURE_FUZZ_TARGET").unwrap_or_default();
    Target::find(&name).expect("CAPTURE_FUZZ_TARGET names no target")
});

fn write_seeds() {
    let Some(directory) = env::var_os("CAPTURE_FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (index, seed) in (TARGET.seeds)().iter().enumerate() {
        fs::write(directory.join(format!("seed-{index}")), seed).expect("seeds can be written");
    }
}

fuzz_target!(init: write_seeds(), |data: &[u8]| (TARGET.run)(data));
