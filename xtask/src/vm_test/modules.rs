//! The modules of a kernel that a capture over veth needs, uncompressed and in the order in which they
//! load. [`super::kernel`] says where they lie; [`super::machine`] puts them into the guest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::command;

/// What the guest needs; what these depend on comes along. `cls_matchall` is for a filter of somebody else.
const MODULES: &[&str] = &["veth", "sch_ingress", "cls_bpf", "cls_matchall"];

/// A module, without compression.
pub(super) struct Module {
    /// Its name, as the kernel knows it.
    pub(super) name: String,
    /// The file.
    pub(super) image: Vec<u8>,
}

/// What the guest needs of a tree of modules, each after what it depends on. A module that is built
/// into the kernel has no file.
pub(super) fn needed(tree: &Path) -> Result<Vec<Module>> {
    let builtin = fs::read_to_string(tree.join("modules.builtin")).unwrap_or_default();
    let builtin: BTreeSet<String> = builtin
        .lines()
        .map(|path| module_name(Path::new(path)))
        .collect();
    let mut files = Vec::new();
    find_modules(&tree.join("kernel"), &mut files)?;
    let mut ordered = Vec::new();
    for name in MODULES {
        add_module(name, &files, &builtin, &mut ordered)?;
    }
    Ok(ordered)
}

fn find_modules(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            find_modules(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn add_module(
    name: &str,
    files: &[PathBuf],
    builtin: &BTreeSet<String>,
    ordered: &mut Vec<Module>,
) -> Result<()> {
    if builtin.contains(name) || ordered.iter().any(|there| there.name == name) {
        return Ok(());
    }
    let file = files
        .iter()
        .find(|file| module_name(file) == name)
        .with_context(|| format!("the kernel has no module {name}"))?;
    let image = uncompressed(file)?;
    for dependency in dependencies(&image) {
        add_module(&dependency, files, builtin, ordered)?;
    }
    ordered.push(Module {
        name: name.to_owned(),
        image,
    });
    Ok(())
}

/// `sch_ingress` of `kernel/net/sched/sch-ingress.ko.xz`.
fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().replace('-', "_")
}

/// The bytes of a module without compression.
fn uncompressed(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => {
            return fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        }
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => bail!(
            "{} is compressed in a way that vm-test does not know",
            file.display()
        ),
    };
    let mut unpack = Command::new(program);
    unpack.args(["-d", "-c"]).arg(file).stderr(Stdio::inherit());
    let output = unpack
        .output()
        .with_context(|| format!("cannot start `{}`", command::line(&unpack)))?;
    if !output.status.success() {
        bail!("`{}` failed ({})", command::line(&unpack), output.status);
    }
    Ok(output.stdout)
}

/// What a module says of itself in its `.modinfo`: `depends=a,b`. A package has no `modules.dep`,
/// which is made when a kernel is installed.
fn dependencies(image: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(start) = image.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = &image[start + KEY.len()..];
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(0);
    String::from_utf8_lossy(&value[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(
            dependencies(b"\x7fELF..\0license=GPL\0depends=nf-conntrack,libcrc32c\0name=x\0"),
            ["nf_conntrack", "libcrc32c"]
        );
        assert!(dependencies(b"\x7fELF\0depends=\0").is_empty());
        assert!(dependencies(b"").is_empty());
    }

    #[test]
    fn modules_are_known_by_their_names() {
        assert_eq!(module_name(Path::new("kernel/net/sch-a.ko.xz")), "sch_a");
        assert_eq!(module_name(Path::new("veth.ko")), "veth");
    }

    #[test]
    fn a_module_is_unpacked_whatever_it_is_packed_by() {
        let directory =
            std::env::temp_dir().join(format!("vm-test-modules-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let plain = directory.join("veth.ko");
        fs::write(&plain, "module").expect("a file");
        for (program, suffix) in [("xz", "xz"), ("gzip", "gz")] {
            let mut pack = Command::new(program);
            pack.args(["-k", "-f"]).arg(&plain);
            command::run(&mut pack).expect("it packs");
            let packed = directory.join(format!("veth.ko.{suffix}"));
            assert_eq!(uncompressed(&packed).expect("it unpacks"), b"module");
        }
        assert_eq!(uncompressed(&plain).expect("it is read"), b"module");
        fs::write(directory.join("veth.ko.rar"), "").expect("a file");
        assert!(uncompressed(&directory.join("veth.ko.rar")).is_err());
        fs::remove_dir_all(&directory).expect("it can be removed");
    }
}
