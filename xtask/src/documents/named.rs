//! What pages name outside of the reference's tables, in their text, their commands and their configuration files:
//! only what there is.

use super::{facts::Facts, page::Page, reference::first_word, source::metrics_in};

/// The page of the fields of packets, which a test of `capture-packet` holds to their table.
const FIELDS: &str = "docs/reference/fields.md";

impl Facts {
    /// A sentence for each name of something that is not there.
    pub(super) fn unknown_names(&self, pages: &[Page]) -> Vec<String> {
        let documents = pages
            .iter()
            .filter(|page| page.path == "README.md" || page.path.starts_with("docs/"));
        documents.flat_map(|page| self.unknown(page)).collect()
    }

    /// What a page names, in its text and its commands, and is not there.
    fn unknown(&self, page: &Page) -> Vec<String> {
        let mut broken = Vec::new();
        for span in &page.spans {
            // Its names are those of fields of packets, and look like keys.
            if page.path == FIELDS && self.is_key(&span.text) {
                continue;
            }
            let found = self.unknown_in(&span.text);
            broken.extend(
                found.map(|what| format!("{}:{}: there is no {what}", page.path, span.line)),
            );
        }
        for block in &page.blocks {
            let language = block.info.as_deref().unwrap_or_default();
            let lines = block.text.lines().enumerate();
            let mut section = "";
            for (number, line) in lines {
                let found = match language.split(' ').next() {
                    Some("sh" | "console") => self.unknown_in_command(line),
                    Some("toml") => self.unknown_key(&mut section, line),
                    _ => None,
                };
                let line = block.line + 1 + number;
                broken
                    .extend(found.map(|what| format!("{}:{line}: there is no {what}", page.path)));
            }
        }
        broken
    }

    fn unknown_in(&self, span: &str) -> Option<String> {
        let word = first_word(span);
        if word.starts_with("--") {
            let mut options = self.agent.options().chain(&self.developers);
            return (!options.any(|option| option == word)).then(|| format!("option `{word}`"));
        }
        if word.starts_with("CAPTURE_AGENT_") {
            return (!self.variables.contains(word)).then(|| format!("variable `{word}`"));
        }
        if let Some(name) = metrics_in(span).difference(&self.metrics).next() {
            return Some(format!("metric `{name}`"));
        }
        if self.is_key(span) {
            return (!self.configuration.contains(span)).then(|| format!("key `{span}`"));
        }
        self.unknown_in_command(span)
    }

    /// Whether it looks like one; what begins as a section does may be the name of a file.
    fn is_key(&self, span: &str) -> bool {
        let is_word = |text: &str| {
            text.chars()
                .all(|char| char.is_ascii_lowercase() || char == '_')
        };
        span.split_once('.').is_some_and(|(section, key)| {
            self.is_section(section) && is_word(key) && !["pcap", "pcapng"].contains(&key)
        })
    }

    fn is_section(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.configuration
            .iter()
            .any(|key| key.starts_with(&prefix))
    }

    /// An option in a line of the shell that a command of the agent has not. Without `capture-agent`, a line
    /// begins with a command as in `task create --wait`.
    fn unknown_in_command(&self, line: &str) -> Option<String> {
        let words: Vec<_> = line.split_whitespace().collect();
        // Behind `-u` it is the name of a unit, or of a user.
        let is_agent = |place: &usize| {
            words[*place].ends_with("capture-agent") && (*place == 0 || words[place - 1] != "-u")
        };
        let mut rest = match (0..words.len()).find(is_agent) {
            Some(place) => &words[place + 1..],
            None => {
                let first = words.first()?;
                if first.is_empty() || !self.agent.commands.contains_key(*first) {
                    return None;
                }
                &words[..]
            }
        };
        let mut path = String::new();
        while let [word, more @ ..] = rest {
            let below = format!("{path} {word}").trim().to_owned();
            if !self.agent.commands.contains_key(&below) {
                break;
            }
            (path, rest) = (below, more);
        }
        let options = &self.agent.commands.get(&path)?.options;
        for word in rest {
            if matches!(
                *word,
                "|" | "||" | "&&" | "&" | ";" | ">" | "2>" | "#" | "<"
            ) {
                break;
            }
            let is_short = word.len() == 2 && word.starts_with('-');
            let option = first_word(word.trim_end_matches([')', '"', '\'', ';', ',']));
            if (is_short || word.starts_with("--")) && !options.contains(option) && option.len() > 1
            {
                return Some(format!(
                    "option `{option}` of `{}`",
                    format!("capture-agent {path}").trim()
                ));
            }
        }
        None
    }

    /// A key in a block of the configuration; blocks of other TOML begin otherwise.
    fn unknown_key<'l>(&self, section: &mut &'l str, line: &'l str) -> Option<String> {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            *section = name;
            return None;
        }
        let (key, _) = line.split_once(" = ")?;
        let key = format!("{section}.{key}");
        (self.is_section(section) && !self.configuration.contains(&key))
            .then(|| format!("key `{key}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(text: &str) -> Vec<String> {
        Facts::of_a_small_product().unknown_names(&[Page::parse("README.md", text)])
    }

    #[test]
    fn no_page_names_what_is_not_there() {
        for right in [
            "`--write FILE` `--kernels 5.10` `CAPTURE_AGENT_SOCKET` `capture_agent_x_total{a=\"b\"}`",
            "`http.listen` `http.pcapng` `http.listen.now` `journalctl -u capture-agent -p err` `state.db` `tcpdump --count` `run -w - | tshark --fields`",
            "```sh\nid=$(capture-agent run --tasks)\ncapture-agent run -w x > out --then\n```",
            "```toml\n[http]\nlisten = 1\n[[tasks]]\nname = 1\n```",
        ] {
            assert_eq!(unknown(right), Vec::<String>::new(), "{right}");
        }
        for (wrong, what) in [
            (
                "`--wrote FILE`",
                "README.md:1: there is no option `--wrote`",
            ),
            (
                "`CAPTURE_AGENT_SOCK`",
                "README.md:1: there is no variable `CAPTURE_AGENT_SOCK`",
            ),
            (
                "`capture_agent_y_total`",
                "README.md:1: there is no metric `capture_agent_y_total`",
            ),
            ("`http.port`", "README.md:1: there is no key `http.port`"),
            (
                "`run --wrote`",
                "README.md:1: there is no option `--wrote` of `capture-agent run`",
            ),
            (
                "```sh\nls\nsudo capture-agent run -x\n```",
                "README.md:3: there is no option `-x` of `capture-agent run`",
            ),
            (
                "```toml\n[http]\nport = 1\n```",
                "README.md:3: there is no key `http.port`",
            ),
        ] {
            assert_eq!(unknown(wrong), [what]);
        }
    }
}
