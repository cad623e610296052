//! The hint about `.part` files that killed captures left beside the outputs of a capture.

use std::path::Path;

use capture_task::{plan::quoted, printable};

use super::{destination::follow_links, recovery::leftovers, target::Target};

/// What killed captures left in the directories of these outputs, in a sentence, with the command that recovers it. Asked
/// once they are open: what had their names is recovered then.
pub fn leftovers_hint(targets: &[Target]) -> Option<String> {
    const MOST: usize = 5;
    let mut directories: Vec<_> = targets
        .iter()
        .filter_map(|target| match target {
            // A `.part` lies where the links of a name lead.
            Target::File(path) => follow_links(path).parent().map(Path::to_owned),
            Target::Stdout | Target::Open(_) => None,
        })
        .collect();
    directories.sort_unstable();
    directories.dedup();
    let left: Vec<_> = directories
        .into_iter()
        .flat_map(|directory| leftovers(&directory))
        .collect();
    // They may be another user's: as words of a shell they do nothing else, and those that cannot be shown are counted.
    let words: Vec<_> = left.iter().filter_map(|path| shell_word(path)).collect();
    let mut names = words[..words.len().min(MOST)].join(" ");
    if left.len() > words.len().min(MOST) {
        names.push_str(" …");
    }
    match (left.len(), words.is_empty()) {
        (0, _) => None,
        (count, true) => Some(format!(
            "interrupted captures left files here whose names cannot be shown: {count}"
        )),
        (1, false) => Some(format!(
            "{} was left by an interrupted capture; \
             `capture-agent recover {names}` makes a capture file of it",
            left[0].display()
        )),
        (count, false) => Some(format!(
            "{count} files here were left by interrupted captures; \
             `capture-agent recover {names}` makes capture files of them"
        )),
    }
}

/// A path as a word of a shell that is no option, unless a terminal cannot show it.
fn shell_word(path: &Path) -> Option<String> {
    let text = path.to_str().filter(|text| printable(text) == *text)?;
    Some(match text.starts_with('-') {
        true => quoted(&format!("./{text}")),
        false => quoted(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_do_nothing_in_a_shell() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        let hint = || leftovers_hint(&[Target::File(at("mine.pcapng"))]);
        // A section header and an interface, as a writer leaves them.
        let mut head = vec![
            0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
        ];
        head.extend([0xff; 8]);
        head.extend([
            28, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 20, 0, 0, 0,
        ]);
        assert_eq!(hint(), None);
        std::fs::write(at("a\u{1b}]0;x\u{7}\n.part"), &head).expect("written");
        let said = hint().expect("a hint");
        assert!(said.ends_with("cannot be shown: 1"), "{said}");
        assert!(!said.contains("recover"), "{said}");
        std::fs::write(at("x;touch $(id).part"), &head).expect("written");
        let said = hint().expect("a hint");
        let word = format!("'{}'", at("x;touch $(id).part").display());
        assert!(
            said.contains(&format!("`capture-agent recover {word} …`")),
            "{said}"
        );
        assert!(!said.contains('\u{1b}'), "{said:?}");
        assert_eq!(
            shell_word(Path::new("-rf.part")).as_deref(),
            Some("./-rf.part")
        );
        assert_eq!(
            shell_word(Path::new("a b.part")).as_deref(),
            Some("'a b.part'")
        );
    }
}
