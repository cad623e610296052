//! Puts the kernel programs where `src/kernel/object.rs` embeds them from. It takes the object that
//! `CAPTURE_EBPF_OBJECT` names, as `cargo xtask` does, or else compiles `capture-ebpf` with the BPF
//! tools of this machine.
//!
//! Where the tools are missing, or `AYA_BUILD_SKIP` is 1, an empty stub takes their place and one
//! warning says so. That is enough for `cargo check`; an agent with the stub refuses to capture.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use capture_build::{TARGET, command, linker};

/// Names an object that is there already.
const OBJECT_VARIABLE: &str = "CAPTURE_EBPF_OBJECT";

/// 1 or `true` leaves the programs out. The name is that of aya's own build crate.
const SKIP_VARIABLE: &str = "AYA_BUILD_SKIP";

/// Where the package `capture-ebpf` is; its build script says so.
const SOURCE_VARIABLE: &str = "DEP_CAPTURE_EBPF_ROOT";

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
    for variable in [OBJECT_VARIABLE, SKIP_VARIABLE] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out_dir = PathBuf::from(variable("OUT_DIR")?);

    let bytes = if let Some(path) = env::var_os(OBJECT_VARIABLE) {
        named(Path::new(&path))?
    } else if env::var(SKIP_VARIABLE).is_ok_and(|value| value == "1" || value == "true") {
        stub(&format!("{SKIP_VARIABLE} is set"))
    } else {
        match capture_build::find() {
            Ok(tools) => compile(&tools, &out_dir.join("bpf"))?,
            Err(toolchains) => {
                for place in capture_build::places() {
                    println!("cargo::rerun-if-changed={}", place.display());
                }
                stub(&match toolchains.first() {
                    Some(toolchain) => format!(
                        "no bpf-linker {} for {toolchain} was found; `cargo xtask setup` builds one",
                        linker::VERSION
                    ),
                    None => format!(
                        "no Rust toolchain for {TARGET} was found; `cargo xtask setup` installs one"
                    ),
                })
            }
        }
    };

    let target = out_dir.join("capture-programs");
    fs::write(&target, bytes).map_err(|error| format!("cannot write {}: {error}", target.display()))
}

/// The object at `path`.
fn named(path: &Path) -> Result<Vec<u8>, String> {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read(path).map_err(|error| {
        format!(
            "{OBJECT_VARIABLE} names {}, which cannot be read: {error}; \
             build with `cargo xtask build`, or unset the variable",
            path.display()
        )
    })
}

/// No object, which is said.
fn stub(reason: &str) -> Vec<u8> {
    println!(
        "cargo::warning=this build has no kernel programs, and its agent cannot capture: {reason}"
    );
    Vec::new()
}

/// Compiles the object, in a target directory of its own: that of the outer cargo is locked.
fn compile(tools: &capture_build::KernelTools, target_dir: &Path) -> Result<Vec<u8>, String> {
    let source = PathBuf::from(variable(SOURCE_VARIABLE)?);
    watch(&source);
    let mut cargo = tools.cargo_build(&source, target_dir, &variable("CARGO_CFG_TARGET_ARCH")?);
    command::output(cargo.arg("--locked")).map_err(|error| {
        // The compiler's messages have many lines, and cargo shows what a failed script printed.
        eprintln!("{error}");
        format!(
            "the kernel programs do not compile with {}, see below; \
             {SKIP_VARIABLE}=1 builds without them",
            tools.toolchain
        )
    })?;
    let object = capture_build::object(target_dir);
    fs::read(&object).map_err(|error| format!("cannot read {}: {error}", object.display()))
}

/// Has cargo run this script again when the source of the kernel programs changes.
fn watch(source: &Path) {
    let workspace = source.parent().unwrap_or(source);
    let files = [
        source.join("Cargo.toml"),
        source.join("src"),
        // These are there in the workspace only; a release does not change.
        workspace.join("capture-common/Cargo.toml"),
        workspace.join("capture-common/src"),
        workspace.join("Cargo.lock"),
        workspace.join("Cargo.toml"),
    ];
    for file in files.iter().filter(|file| file.exists()) {
        println!("cargo::rerun-if-changed={}", file.display());
    }
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}; build with cargo"))
}
