//! Tells the build script of `capture-engine` where this crate is, as `DEP_CAPTURE_EBPF_ROOT`: it
//! compiles the programs from there. That is the workspace, or where cargo unpacked a release.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_MANIFEST_DIR");
    if let Ok(root) = env::var("CARGO_MANIFEST_DIR") {
        println!("cargo::metadata=root={root}");
    }
}
