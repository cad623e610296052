//! Circles among the files of a crate: a set of files each of which reaches all others by imports. None
//! of them can be read, tested or moved without the rest.

use std::collections::BTreeSet;

use super::source::Crate;
use crate::workspace;

impl Crate {
    /// One sentence for each circle, with the imports that close it.
    pub(super) fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let circles = components(self.files.len(), &edges);
        let sentences = circles.iter().map(|files| self.sentence(files, &edges));
        sentences.collect()
    }

    fn sentence(&self, files: &[usize], edges: &BTreeSet<(usize, usize)>) -> String {
        let among = |(from, to): &&(usize, usize)| files.contains(from) && files.contains(to);
        let mut imports: Vec<_> = edges
            .iter()
            .filter(among)
            .map(|(from, to)| format!("  {} → {}", self.shown(*from), self.shown(*to)))
            .collect();
        imports.sort();
        format!(
            "{} files import each other in a circle:\n{}",
            files.len(),
            imports.join("\n")
        )
    }

    fn shown(&self, file: usize) -> String {
        workspace::shown(&self.files[file])
    }
}

/// The sets of more than one file in which each reaches all others. There are tens of files, so that a walk from
/// each of them is soon done.
fn components(files: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<Vec<usize>> {
    let reached: Vec<_> = (0..files).map(|file| reached_from(file, edges)).collect();
    let mut components = Vec::new();
    let mut done = BTreeSet::new();
    for file in 0..files {
        if !done.insert(file) {
            continue;
        }
        let among =
            |other: &usize| reached[file].contains(other) && reached[*other].contains(&file);
        let component: Vec<_> = (file..files).filter(among).collect();
        done.extend(component.iter().copied());
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

/// The files that a file imports, and those that they import, and so on.
fn reached_from(file: usize, edges: &BTreeSet<(usize, usize)>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut ahead = vec![file];
    while let Some(from) = ahead.pop() {
        let imports = edges.range((from, 0)..=(from, usize::MAX));
        ahead.extend(imports.map(|(_, to)| *to).filter(|to| reached.insert(*to)));
    }
    reached
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The circles of a crate of these files.
    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("it is made");
            fs::write(path, text).expect("it is written");
        }
        let parsed = Crate::parse(directory.path());
        parsed.unwrap_or_else(|error| panic!("{error:#}")).circles()
    }

    #[test]
    fn files_that_import_each_other_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "use crate::b::B; pub struct A(B);"),
            (
                "b.rs",
                "pub struct B; fn f() -> super::c::C { super::c::C }",
            ),
            ("c.rs", "pub struct C; fn g() { crate::a::A; }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("3 files"), "{found:?}");
    }

    #[test]
    fn a_parent_and_its_child_are_a_circle_too() {
        let found = circles(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; pub struct A; fn f() { b::g() }"),
            ("a/b.rs", "use super::A; pub(super) fn g() { A; }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn what_is_passed_on_counts_for_where_it_is_used() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("a.rs", "pub struct A;"),
            ("b.rs", "use crate::A; pub(crate) struct B(A);"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn tests_may_import_everything() {
        let found = circles(&[
            ("lib.rs", "mod a; mod b;"),
            (
                "a.rs",
                "pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
            ),
            ("b.rs", "use crate::a::A; pub struct B(A);"),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
