//! Puts the kernel object where `src/kernel/object.rs` embeds it from. `cargo xtask build` names the
//! object in `CAPTURE_EBPF_OBJECT`; without that variable an empty stub takes its place, so that
//! `cargo check` and `cargo clippy` need no BPF toolchain.

use std::{env, fs, path::Path, process::ExitCode};

const OBJECT_VARIABLE: &str = "CAPTURE_EBPF_OBJECT";

fn main() -> ExitCode {
    match place_object() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn place_object() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={OBJECT_VARIABLE}");

    let bytes = match env::var_os(OBJECT_VARIABLE) {
        Some(path) => {
            let path = Path::new(&path);
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(path).map_err(|error| {
                format!(
                    "{OBJECT_VARIABLE} names {}, which cannot be read: {error}; \
                     build with `cargo xtask build`, or unset the variable for a stub",
                    path.display()
                )
            })?
        }
        None => Vec::new(),
    };

    let out_dir = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?;
    let target = Path::new(&out_dir).join("capture-programs");
    fs::write(&target, bytes).map_err(|error| format!("cannot write {}: {error}", target.display()))
}
