//! Mutated capture files, in a row: none ends the analyzer, and none makes it take more memory than it may.
//! `CAPTURE_TEST_MUTATED` says how many, `CAPTURE_TEST_SEED` which ones.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    env,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use capture_fuzz::{Target, mutate::Mutator};

/// Largest file.
const MOST_BYTES: usize = 64 * 1024;

/// Most memory for one of these files, the tables and the buffer of the reader included.
const MOST_MEMORY: usize = 8 << 20;

/// Counts what is allocated.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(used, Relaxed);
        // SAFETY: the caller promises what the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn number(variable: &str, usual: u64) -> u64 {
    let value = env::var(variable).ok();
    value.map_or(usual, |value| value.parse().expect(variable))
}

#[test]
fn mutated_files_end_well_in_bounded_memory() {
    let target = Target::find("analyzer").expect("the target");
    let count = number("CAPTURE_TEST_MUTATED", 3_000);
    let seed = number("CAPTURE_TEST_SEED", 1);
    let seeds = (target.seeds)();
    let mut mutator = Mutator::new(seed);
    let mut worst = 0;
    for index in 0..count {
        let [one, other] = [(); 2].map(|()| &seeds[mutator.below(seeds.len())]);
        let mut file = one.clone();
        mutator.mutate(&mut file, other, MOST_BYTES);
        let before = USED.load(Relaxed);
        MOST.store(before, Relaxed);
        let outcome = std::panic::catch_unwind(|| (target.run)(&file));
        let memory = MOST.load(Relaxed) - before;
        worst = worst.max(memory);
        if outcome.is_err() || memory > MOST_MEMORY {
            let path = env::temp_dir().join(format!("mutated-{seed}-{index}"));
            std::fs::write(&path, &file).expect("the file is kept");
            panic!(
                "{} of seed {seed}: {memory} bytes of memory",
                path.display()
            );
        }
    }
    println!("{count} files, at most {worst} bytes of memory");
}
