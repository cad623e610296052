//! The bill of materials in CycloneDX 1.5: every crate in the agent, with its licence, checksum and dependencies, from
//! `cargo metadata` and `Cargo.lock`. cargo-cyclonedx writes such files too, but into the sources of each crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{files::text, release::Release};
use crate::command;

/// The crate whose dependencies are listed.
const ROOT: &str = "capture-agent";

/// Writes the file and returns its path.
pub(super) fn write(release: &Release) -> Result<PathBuf> {
    let mut cargo = command::cargo();
    cargo.args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform",
    ]);
    let metadata = command::output(cargo.arg(release.target.triple()))?;
    let metadata = serde_json::from_str(&metadata).context("`cargo metadata`")?;
    let mut date = Command::new("date");
    let at = format!("@{}", release.epoch);
    let time = command::output(date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date", &at]))?;
    let bill = bill(&metadata, &checksums(&text("Cargo.lock")?), &time)?;
    let path = release.directory.join(format!(
        "capture-agent-{}-{}.cdx.json",
        release.version, release.target.rust
    ));
    fs::write(&path, serde_json::to_string_pretty(&bill)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The bill of [`ROOT`].
fn bill(metadata: &Value, checksums: &BTreeMap<String, String>, time: &str) -> Result<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> = list(&metadata["packages"])
        .into_iter()
        .map(|package| (id(&package["id"]), package))
        .collect();
    let nodes: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| (id(&node["id"]), linked(node)))
        .collect();
    let root = packages
        .iter()
        .find(|(_, package)| package["name"] == ROOT)
        .map(|(id, _)| id.clone())
        .context("`cargo metadata` does not name the agent")?;
    let found = reachable(&root, &nodes);
    let reference = |id: &String| packages.get(id).map(purl).unwrap_or_default();
    let components = found.iter().filter(|id| **id != root);
    let components: Vec<Value> = components
        .filter_map(|id| Some(component(packages.get(id)?, checksums)))
        .collect();
    let dependencies: Vec<Value> = found
        .iter()
        .map(|id| {
            let on: BTreeSet<_> = nodes.get(id).into_iter().flatten().map(reference).collect();
            json!({"ref": reference(id), "dependsOn": on})
        })
        .collect();
    let mut main = component(&packages[&root], checksums);
    main["type"] = json!("application");
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"timestamp": time, "component": main},
        "components": components,
        "dependencies": dependencies,
    }))
}

/// All that `root` depends on, with itself.
fn reachable(root: &str, nodes: &BTreeMap<String, Vec<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(nodes.get(&id).into_iter().flatten().cloned());
        }
    }
    found
}

fn id(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What is linked into a crate: neither what builds it nor what tests it.
fn linked(node: &Value) -> Vec<String> {
    let dependencies = node["deps"].as_array().into_iter().flatten();
    let dependencies = dependencies.filter(|dependency| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
    });
    dependencies
        .map(|dependency| id(&dependency["pkg"]))
        .collect()
}

fn purl(package: &Value) -> String {
    format!(
        "pkg:cargo/{}@{}",
        id(&package["name"]),
        id(&package["version"])
    )
}

fn component(package: &Value, checksums: &BTreeMap<String, String>) -> Value {
    let (name, version) = (id(&package["name"]), id(&package["version"]));
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": name,
        "version": version,
        "purl": purl(package),
        "scope": "required",
    });
    if let Some(license) = package["license"].as_str() {
        // An old spelling of OR.
        let expression = license.replace('/', " OR ");
        component["licenses"] = json!([{"expression": expression}]);
    }
    if let Some(sum) = checksums.get(&format!("{name} {version}")) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    component
}

/// The checksums of `Cargo.lock`, by name and version.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key));
        line.map(|line| line.trim_matches([' ', '=', '"']).to_owned())
    };
    let blocks = lock.split("[[package]]").skip(1);
    blocks
        .filter_map(|block| {
            let name = value(block, "name")?;
            let version = value(block, "version")?;
            Some((format!("{name} {version}"), value(block, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_listed() {
        let package = |name: &str| json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0"});
        let on = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("capture-agent"), package("a"), package("b"), package("tests")],
            "resolve": {"nodes": [
                {"id": "capture-agent", "deps": [on("a", Value::Null), on("tests", json!("dev"))]},
                {"id": "a", "deps": [on("b", Value::Null)]},
                {"id": "b", "deps": []},
            ]},
        });
        let lock =
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n";
        let bill = bill(&metadata, &checksums(lock), "2026-01-01T00:00:00Z").expect("a bill");
        let components = bill["components"].as_array().expect("components");
        let names: Vec<_> = components.iter().map(|one| &one["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(components[0]["hashes"][0]["content"], "00ff");
        assert_eq!(
            components[0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(bill["metadata"]["component"]["name"], "capture-agent");
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], "pkg:cargo/b@1.0.0");
    }
}
