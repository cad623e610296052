//! Circles among the files of a crate: a set of files each of which reaches all others by imports. None
//! of them can be read, tested or moved without the rest.

use petgraph::{algo::tarjan_scc, graphmap::DiGraphMap};

use super::source::Crate;
use crate::workspace;

impl Crate {
    /// One sentence for each circle, with the imports that close it.
    pub(super) fn circles(&self) -> Vec<String> {
        let edges = self.edges();
        let graph = DiGraphMap::<usize, ()>::from_edges(edges.iter().copied());
        let circles = tarjan_scc(&graph)
            .into_iter()
            .filter(|files| files.len() > 1);
        circles
            .map(|files| {
                let among =
                    |(from, to): &&(usize, usize)| files.contains(from) && files.contains(to);
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
            })
            .collect()
    }

    fn shown(&self, file: usize) -> String {
        workspace::shown(&self.files[file])
    }
}
