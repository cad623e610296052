//! Every kept input ends well: those that found a fault once, and those by which fuzzers reach far.

use std::{fs, path::Path};

use capture_fuzz::TARGETS;

#[test]
fn kept_inputs_end_well() {
    for target in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("corpus")
            .join(target.name);
        let entries = fs::read_dir(&directory).expect("a directory of inputs");
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("an entry").path();
            // The harness shows this where it fails.
            println!("{}", path.display());
            (target.run)(&fs::read(&path).expect("an input"));
            count += 1;
        }
        assert!(count > 0, "{} is empty", directory.display());
    }
}

#[test]
fn seeds_end_well() {
    for target in TARGETS {
        for (index, seed) in (target.seeds)().iter().enumerate() {
            println!("{} {index}", target.name);
            (target.run)(seed);
        }
    }
}
