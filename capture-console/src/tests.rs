use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Map, Value};

use super::*;

/// Bytes of a first load at most: the first page, what it names, and the words of one language.
const MAX_FIRST_LOAD: usize = 60_000;

/// Bytes that all files add to the program at most.
const MAX_ALL: usize = 400_000;

fn text(path: &str) -> String {
    let asset = asset(path).unwrap_or_else(|| panic!("no {path}"));
    String::from_utf8(asset.plain()).expect("text")
}

fn words(language: &str) -> Map<String, Value> {
    serde_json::from_str(&text(&format!("words/{language}.json"))).expect("an object")
}

/// The scripts, by their paths.
fn scripts() -> impl Iterator<Item = (&'static str, String)> {
    let all = assets().iter().filter(|asset| asset.path.ends_with(".js"));
    all.map(|asset| (asset.path, text(asset.path)))
}

/// What stands between `'` behind each `begin`.
fn quoted<'a>(text: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
    let found = text.match_indices(begin);
    found.filter_map(move |(at, _)| {
        text[at + begin.len()..]
            .split_once('\'')
            .map(|(word, _)| word)
    })
}

#[test]
fn every_file_of_the_tree_is_there_as_it_is() {
    fn look(directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).expect("a directory").flatten() {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                look(&entry.path(), &format!("{name}/"));
            } else if !name.starts_with("words/") && name != "index.html" {
                let bytes = fs::read(entry.path()).expect("a file");
                assert!(asset(&name).expect("embedded").plain() == bytes, "{name}");
            }
        }
    }
    look(Path::new("web"), "");
    assert!(asset("js/no.js").is_none() && asset("").is_none() && asset("index.html").is_none());
}

#[test]
fn every_finding_has_a_name_in_every_language() {
    let page = fs::read_to_string("../docs/reference/findings.md").expect("the page of findings");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ["));
    let codes: Vec<_> = rows.filter_map(|row| row.split(']').next()).collect();
    assert!(codes.len() > 50, "{codes:?}");
    for language in ["en", "zh", "de"] {
        let words = words(language);
        let named = words.keys().filter_map(|key| key.strip_prefix("finding."));
        let mut named: Vec<_> = named.collect();
        named.sort_unstable();
        assert_eq!(named, codes, "{language}");
    }
}

#[test]
fn the_first_page_names_what_is_there() {
    let page = String::from_utf8(index().plain()).expect("text");
    assert!(!page.contains("{{"), "{page}");
    let named: Vec<_> = page
        .split('"')
        .filter(|part| part.starts_with("ui/"))
        .collect();
    let mut len = index().gzip.len();
    for path in &named {
        let path = path
            .strip_prefix(&format!("ui/{HASH}/"))
            .expect("below the hash");
        len += asset(path)
            .unwrap_or_else(|| panic!("no {path}"))
            .gzip
            .len();
    }
    assert!(named.len() > 5, "{named:?}");
    for language in ["en", "zh", "de"] {
        let words = asset(&format!("words/{language}.json")).expect("words");
        let all = len + words.gzip.len();
        assert!(all <= MAX_FIRST_LOAD, "a first load has {all} bytes");
    }
    let all: usize = assets().iter().map(|asset| asset.gzip.len()).sum();
    assert!(all <= MAX_ALL, "{all} bytes");
}

#[test]
fn modules_import_what_is_there() {
    for (path, script) in scripts() {
        for begin in ["from '", "import('"] {
            for named in quoted(&script, begin).filter(|named| named.starts_with('.')) {
                let mut parts: Vec<_> = path.split('/').collect();
                parts.pop();
                for part in named.split('/') {
                    match part {
                        "." => {}
                        ".." => drop(parts.pop()),
                        part => parts.push(part),
                    }
                }
                let full = parts.join("/");
                assert!(
                    asset(&full).is_some(),
                    "{path} imports {named}, and {full} is not there"
                );
            }
        }
    }
}

/// The names in `{}` of a text, in all its forms.
fn parameters(word: &Value) -> Vec<String> {
    let forms: Vec<&str> = match word {
        Value::String(text) => vec![text],
        Value::Object(forms) => forms.values().filter_map(Value::as_str).collect(),
        other => panic!("{other} is no text"),
    };
    let mut names: Vec<_> = forms
        .iter()
        .flat_map(|text| text.split('{').skip(1))
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.to_owned())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn languages_have_the_same_words() {
    let english = words("en");
    for language in ["zh", "de"] {
        let other = words(language);
        for key in english.keys() {
            assert!(other.contains_key(key), "{language} has no {key}");
        }
        for (key, word) in &other {
            let known = english
                .get(key)
                .unwrap_or_else(|| panic!("{language} has {key} alone"));
            assert_eq!(parameters(known), parameters(word), "{language} {key}");
        }
    }
}

#[test]
fn every_word_is_used_and_every_use_has_a_word() {
    let english = words("en");
    let all: BTreeMap<_, _> = scripts().collect();
    for (path, script) in &all {
        for begin in ["t('", "parts('", "button('"] {
            for key in quoted(script, begin) {
                // `split('…')` and `closest('.…')` end as `t('…')` begins, and have no word.
                let is_word = key.contains('.')
                    && !key.starts_with('.')
                    && key
                        .chars()
                        .all(|char| char.is_ascii_alphanumeric() || "._-".contains(char));
                assert!(
                    !is_word || english.contains_key(key),
                    "{path}: no word for {key}"
                );
            }
        }
    }
    let text: String = all.into_values().collect();
    for key in english.keys() {
        // Whole, or as `begin.${…}`.
        let begins = key.match_indices(['.', '_']).map(|(at, _)| &key[..=at]);
        let is_used = text.contains(&format!("'{key}'"))
            || begins
                .into_iter()
                .any(|begin| text.contains(&format!("`{begin}${{")));
        assert!(is_used, "nothing uses {key}");
    }
}

#[test]
fn no_script_makes_markup_of_a_text() {
    for (path, script) in scripts() {
        for way in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
            "setAttribute('style'",
            "https://",
            "http://",
        ] {
            let is_namespace = way == "http://"
                && script.matches(way).count() == script.matches("http://www.w3.org/").count();
            assert!(is_namespace || !script.contains(way), "{path} has {way}");
        }
    }
}
