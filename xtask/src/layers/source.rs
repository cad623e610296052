//! The modules of a crate and what they name of each other, read from its source by syn. Comes before
//! [`circles`](super::circles). Test code is left out: tests may look at everything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use syn::{
    Attribute, Item, ItemUse, UseTree, Visibility,
    visit::{self, Visit},
};

use crate::workspace;

/// Names from the root of a crate on: `["kernel", "hooks"]`.
type Names = Vec<String>;

/// How many re-exports are followed for one name; more is a circle of them.
const MOST_HOPS: usize = 16;

/// A crate, read.
#[derive(Debug, Default)]
pub(super) struct Crate {
    /// Every file, in the order in which they were found.
    pub(super) files: Vec<PathBuf>,
    modules: BTreeMap<Names, Module>,
}

/// A module.
#[derive(Debug, Default)]
struct Module {
    /// Index of its file.
    file: usize,
    /// What it imports by name, for itself or for others: the name here, and the path.
    imports: BTreeMap<String, Names>,
    /// Modules of which it imports everything.
    globs: Vec<Names>,
    /// Paths that its code names, each from the root on, where that is known.
    named: BTreeSet<Names>,
}

impl Crate {
    /// Reads a crate from its `src` directory: the library where there is one, and else the program.
    pub(super) fn parse(src: &Path) -> Result<Self> {
        let mut parsed = Self::default();
        let root = ["lib.rs", "main.rs"].map(|name| src.join(name));
        let root = root.into_iter().find(|path| path.is_file());
        parsed.file(
            &root.context("neither lib.rs nor main.rs is there")?,
            src,
            Vec::new(),
        )?;
        Ok(parsed)
    }

    fn file(&mut self, path: &Path, children: &Path, module: Names) -> Result<()> {
        let text = fs::read_to_string(path).with_context(|| workspace::shown(path))?;
        let parsed = syn::parse_file(&text).with_context(|| workspace::shown(path))?;
        let file = self.files.len();
        self.files.push(path.to_owned());
        self.module(parsed.items, file, children, module)
    }

    fn module(
        &mut self,
        items: Vec<Item>,
        file: usize,
        children: &Path,
        names: Names,
    ) -> Result<()> {
        let mut module = Module {
            file,
            ..Module::default()
        };
        for item in &items {
            if let Item::Use(item) = item
                && !is_test(&item.attrs)
            {
                module.import(item, &names);
            }
        }
        let mut named = Named {
            module: &mut module,
            names: &names,
        };
        for item in items
            .iter()
            .filter(|item| !matches!(item, Item::Mod(_) | Item::Use(_)))
        {
            if !is_test(attributes(item)) {
                named.visit_item(item);
            }
        }
        self.modules.insert(names.clone(), module);
        for item in items {
            let Item::Mod(item) = item else { continue };
            if is_test(&item.attrs) {
                continue;
            }
            let name = item.ident.to_string();
            let below = children.join(&name);
            let child = [names.as_slice(), std::slice::from_ref(&name)].concat();
            match item.content {
                Some((_, items)) => self.module(items, file, &below, child)?,
                None => {
                    let path = [children.join(format!("{name}.rs")), below.join("mod.rs")];
                    let path = path.into_iter().find(|path| path.is_file());
                    let path = path.with_context(|| format!("the file of module {name}"))?;
                    self.file(&path, &below, child)?;
                }
            }
        }
        Ok(())
    }

    /// Which file names which others, by index.
    pub(super) fn edges(&self) -> BTreeSet<(usize, usize)> {
        let edges = self.modules.values().flat_map(|module| {
            let targets = module.named.iter().chain(&module.globs);
            let files = targets.filter_map(|path| self.file_of(path, MOST_HOPS));
            files.map(|file| (module.file, file))
        });
        edges.filter(|(from, to)| from != to).collect()
    }

    /// The file in which what a path means is defined; re-exports are followed.
    fn file_of(&self, path: &[String], hops: usize) -> Option<usize> {
        if path.first().is_some_and(String::is_empty) {
            return None;
        }
        // The longest beginning that is a module.
        let depth = (0..=path.len())
            .rev()
            .find(|depth| self.modules.contains_key(&path[..*depth]))?;
        let module = self.modules.get(&path[..depth])?;
        let Some(name) = path.get(depth) else {
            return Some(module.file);
        };
        if hops == 0 {
            return Some(module.file);
        }
        if let Some(target) = module.imports.get(name) {
            let target = [target.as_slice(), &path[depth + 1..]].concat();
            return self.file_of(&target, hops - 1);
        }
        Some(module.file)
    }

    /// Where the source speaks of exit codes, which only the command line has.
    pub(super) fn exits(&self) -> Vec<String> {
        let is_exit = |path: &&Names| {
            path.iter().any(|name| name == "ExitCode")
                || path.ends_with(&["process".into(), "exit".into()])
        };
        let modules = self.modules.values();
        let files: BTreeSet<_> = modules
            .filter(|module| {
                module
                    .named
                    .iter()
                    .chain(module.imports.values())
                    .any(|path| is_exit(&path))
            })
            .map(|module| workspace::shown(&self.files[module.file]))
            .collect();
        let files = files.into_iter();
        files
            .map(|file| {
                format!("{file} must not know exit codes; the command line makes them of errors")
            })
            .collect()
    }
}

impl Module {
    fn import(&mut self, item: &ItemUse, names: &[String]) {
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        let is_private = matches!(item.vis, Visibility::Inherited);
        for (path, name) in leaves {
            let Some(path) = absolute(&path, names) else {
                continue;
            };
            match name {
                Some(name) => {
                    // What is only passed on is followed from where it is used.
                    if is_private {
                        self.named.insert(path.clone());
                    }
                    self.imports.insert(name, path);
                }
                None => self.globs.push(path),
            }
        }
    }
}

/// The leaves of a use tree: the path and the name it has here, which a glob has not.
fn flatten(tree: &UseTree, before: &mut Names, leaves: &mut Vec<(Names, Option<String>)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, leaves);
            }
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned()));
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            leaves.push((
                [before.as_slice(), std::slice::from_ref(&name)].concat(),
                Some(name),
            ));
        }
        UseTree::Rename(rename) => {
            let path = match rename.ident == "self" {
                true => before.clone(),
                false => [before.as_slice(), &[rename.ident.to_string()]].concat(),
            };
            leaves.push((path, Some(rename.rename.to_string())));
        }
        UseTree::Glob(_) => leaves.push((before.clone(), None)),
    }
}

/// A path from the root of the crate on. One of another crate keeps its names behind an empty one, which
/// no module has.
fn absolute(path: &[String], names: &[String]) -> Option<Names> {
    let first = path.first()?;
    let mut base = match first.as_str() {
        "crate" => Vec::new(),
        "self" => names.to_vec(),
        "super" => names[..names.len().checked_sub(1)?].to_vec(),
        _ => return Some([&[String::new()], path].concat()),
    };
    for name in &path[1..] {
        match name.as_str() {
            "super" => {
                base.pop()?;
            }
            _ => base.push(name.clone()),
        }
    }
    Some(base)
}

/// Collects the paths that code names.
struct Named<'a> {
    module: &'a mut Module,
    names: &'a [String],
}

impl<'ast> Visit<'ast> for Named<'_> {
    /// `pub(super)` names a module, and uses nothing of it.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Names = path
            .segments
            .iter()
            .map(|one| one.ident.to_string())
            .collect();
        let named = match segments.first().map(String::as_str) {
            Some("crate" | "self" | "super") => absolute(&segments, self.names),
            Some(first) => match self.module.imports.get(first) {
                Some(import) => Some([import.as_slice(), &segments[1..]].concat()),
                // A child module, or something of this one.
                None => Some([self.names, segments.as_slice()].concat()),
            },
            None => None,
        };
        self.module.named.extend(named);
        visit::visit_path(self, path);
    }
}

/// Whether it is compiled for tests alone.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        _ => &[],
    }
}
