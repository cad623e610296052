//! The file that is installed: what it needs, and that it is no larger than it has to be.

use std::process::Command;

use capture_tests::{agent::binary, or_skip, output};

/// What `readelf` says of the agent under test.
fn readelf(option: &str) -> String {
    output(
        Command::new("readelf")
            .args(["--wide", option])
            .arg(binary()),
    )
}

/// Libraries of the package libc6, and libgcc_s, as the README says.
#[test]
fn it_needs_the_c_library_and_libgcc_only() {
    let dynamic = readelf("--dynamic");
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let needed = needed.filter_map(|line| line.split_once('[')?.1.strip_suffix(']'));
    let needed: Vec<_> = needed.collect();
    let is_known = |name: &str| {
        let of_libc = ["libc.so.", "libm.so.", "ld-linux"];
        name == "libgcc_s.so.1" || of_libc.iter().any(|start| name.starts_with(start))
    };
    assert!(needed.contains(&"libc.so.6"), "{dynamic}");
    assert!(needed.iter().all(|name| is_known(name)), "{needed:?}");
}

fn is_release() -> Result<(), String> {
    let binary = binary();
    let directory = binary.parent().expect("a file");
    match directory.ends_with("release") {
        true => Ok(()),
        false => Err(format!("{} is no release", binary.display())),
    }
}

/// A release agent has no lines of its sources in it; the names of functions are there. Other agents are for
/// development, and may be as they like.
#[test]
fn a_release_is_stripped_of_debug_information() {
    or_skip!(is_release());
    let sections = readelf("--section-headers");
    assert!(sections.contains(" .text "), "{sections}");
    assert!(sections.contains(" .symtab "), "{sections}");
    for section in [" .debug_info ", " .debug_line "] {
        assert!(!sections.contains(section), "{sections}");
    }
    let size = binary().metadata().expect("it is there").len();
    assert!(size < 32 << 20, "{size} bytes");
}
