//! A page of the documents, read: what it is called, what it points at, what it names. Comes before all other
//! modules here, which ask it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Directories without documents of ours.
const PASSED_OVER: [&str; 2] = ["target", "node_modules"];

/// A page.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Below the root of the workspace, as in `docs/start/install.md`.
    pub(super) path: String,
    pub(super) bytes: usize,
    pub(super) lines: usize,
    pub(super) headings: Vec<Heading>,
    pub(super) links: Vec<Link>,
    pub(super) spans: Vec<Span>,
    pub(super) blocks: Vec<Block>,
    /// Words of its prose, in lower case.
    pub(super) words: Vec<String>,
}

/// A heading; what follows, up to the next one, is its section.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) title: String,
    /// What a link to it has behind `#`.
    pub(super) anchor: String,
}

/// A link, or a picture.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) target: String,
    pub(super) line: usize,
    pub(super) section: Section,
}

/// A code span.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) line: usize,
    pub(super) section: Section,
    /// Whether it stands in the first column of a table: it is what the row is about.
    pub(super) is_key: bool,
}

/// A block of code.
#[derive(Debug)]
pub(super) struct Block {
    /// What stands behind the fence; none where there is no fence.
    pub(super) info: Option<String>,
    pub(super) text: String,
    pub(super) line: usize,
}

/// Index of the heading that something stands under.
pub(super) type Section = Option<usize>;

impl Page {
    /// Every page of the workspace.
    pub(super) fn all(root: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        find(root, &mut paths)?;
        paths.sort();
        let read = |path: &PathBuf| {
            let text =
                fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let below = path.strip_prefix(root).unwrap_or(path);
            Ok(Self::parse(&below.to_string_lossy(), &text))
        };
        paths.iter().map(read).collect()
    }

    /// Reads the text of a page.
    pub(super) fn parse(path: &str, text: &str) -> Self {
        let mut page = Self {
            path: path.to_owned(),
            bytes: text.len(),
            lines: text.lines().count(),
            ..Self::default()
        };
        let mut reader = Reader {
            page: &mut page,
            text,
            heading: None,
            block: None,
            column: None,
        };
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            reader.take(event, range.start);
        }
        page
    }

    /// The section with this title.
    pub(super) fn section(&self, title: &str) -> Option<usize> {
        self.headings
            .iter()
            .position(|heading| heading.title == title)
    }

    /// The section with this anchor.
    pub(super) fn anchored(&self, anchor: &str) -> Option<usize> {
        self.headings
            .iter()
            .position(|heading| heading.anchor == anchor)
    }

    /// What the tables of a section, or of the whole page, are about.
    pub(super) fn keys(&self, section: Section) -> impl Iterator<Item = &Span> {
        self.spans
            .iter()
            .filter(move |span| span.is_key && (section.is_none() || span.section == section))
    }
}

fn find(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && !PASSED_OVER.contains(&name.as_ref()) {
                find(&entry.path(), paths)?;
            }
        } else if name.ends_with(".md") {
            paths.push(entry.path());
        }
    }
    Ok(())
}

/// A page that is being read.
struct Reader<'a> {
    page: &'a mut Page,
    text: &'a str,
    /// The title of the heading that is open.
    heading: Option<String>,
    block: Option<Block>,
    /// Of the table row that is open, a cell's number.
    column: Option<usize>,
}

impl Reader<'_> {
    fn take(&mut self, event: Event<'_>, at: usize) {
        match event {
            Event::Start(tag) => self.begin(tag, at),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match (&mut self.block, &mut self.heading) {
                (Some(block), _) => block.text.push_str(&text),
                (None, heading) => {
                    if let Some(title) = heading {
                        title.push_str(&text);
                    }
                    let words = text.split(|char: char| !char.is_alphabetic() && char != '\'');
                    let words = words.filter(|word| word.contains(char::is_alphabetic));
                    self.page.words.extend(words.map(str::to_lowercase));
                }
            },
            Event::Code(text) => {
                if let Some(title) = &mut self.heading {
                    title.push_str(&text);
                }
                let span = Span {
                    text: text.into_string(),
                    line: self.line(at),
                    section: self.section(),
                    is_key: self.column == Some(0),
                };
                self.page.spans.push(span);
            }
            _ => {}
        }
    }

    fn begin(&mut self, tag: Tag<'_>, at: usize) {
        match tag {
            Tag::Heading { .. } => self.heading = Some(String::new()),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let link = Link {
                    target: dest_url.into_string(),
                    line: self.line(at),
                    section: self.section(),
                };
                self.page.links.push(link);
            }
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => Some(info.into_string()),
                    CodeBlockKind::Indented => None,
                };
                self.block = Some(Block {
                    info,
                    text: String::new(),
                    line: self.line(at),
                });
            }
            Tag::TableRow => self.column = Some(0),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_) => {
                let title = self.heading.take().unwrap_or_default();
                let anchor = self.free_anchor(&title);
                self.page.headings.push(Heading { title, anchor });
            }
            TagEnd::CodeBlock => self.page.blocks.extend(self.block.take()),
            TagEnd::TableCell => self.column = self.column.map(|column| column + 1),
            TagEnd::TableRow => self.column = None,
            _ => {}
        }
    }

    fn section(&self) -> Section {
        self.page.headings.len().checked_sub(1)
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// As GitHub makes them: a second heading of the same title has `-1` behind it.
    fn free_anchor(&self, title: &str) -> String {
        let taken: BTreeSet<_> = self
            .page
            .headings
            .iter()
            .map(|one| one.anchor.as_str())
            .collect();
        let anchor = anchor(title);
        if !taken.contains(anchor.as_str()) {
            return anchor;
        }
        let numbered = (1..).map(|number| format!("{anchor}-{number}"));
        numbered
            .into_iter()
            .find(|anchor| !taken.contains(anchor.as_str()))
            .unwrap_or(anchor)
    }
}

/// In lower case, spaces as hyphens, and nothing but letters, digits, `-` and `_`.
fn anchor(title: &str) -> String {
    let title = title.to_lowercase().replace(' ', "-");
    title
        .chars()
        .filter(|char| char.is_alphanumeric() || "-_".contains(*char))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let page = Page::parse(
            "a.md",
            "# A `b` c?\n\nText with `code` and [a link](x.md#y).\n\n\
             | key | value |\n| --- | --- |\n| `one\\|two` | `three` |\n\n\
             ## Next\n\n```sh mark\nls\n```\n\n## Next\n\n    indented\n",
        );
        let anchors: Vec<_> = page
            .headings
            .iter()
            .map(|one| one.anchor.as_str())
            .collect();
        assert_eq!(anchors, ["a-b-c", "next", "next-1"]);
        assert_eq!(page.links[0].target, "x.md#y");
        assert_eq!((page.links[0].line, page.links[0].section), (3, Some(0)));
        let keys: Vec<_> = page.keys(Some(0)).map(|span| span.text.as_str()).collect();
        assert_eq!(keys, ["one|two"]);
        assert_eq!(page.spans.len(), 4);
        assert_eq!(page.blocks[0].info.as_deref(), Some("sh mark"));
        assert_eq!(
            (page.blocks[0].text.as_str(), page.blocks[0].line),
            ("ls\n", 11)
        );
        assert_eq!(page.blocks[1].info, None);
        assert_eq!(page.words[..6], ["a", "c", "text", "with", "and", "a"]);
    }
}
