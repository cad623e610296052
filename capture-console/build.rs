//! Embeds the files of `web`: each compressed once, under a hash of all of them, so that a browser may keep them for
//! ever. The words of a language are merged into one file. Nothing else is done to a file: what stands in the tree is
//! what the browser gets.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

/// Stands for the hash in `index.html`.
const PLACE: &str = "{{HASH}}";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=web");
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = BTreeMap::new();
    read(Path::new("web"), "", &mut files)?;
    merge_words(&mut files)?;
    let mut hash = Sha256::new();
    for (path, bytes) in &files {
        hash.update(path);
        hash.update([0]);
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    let hash: String = hash.finalize()[..8]
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let index = files
        .remove("index.html")
        .ok_or("there is no web/index.html")?;
    let index = String::from_utf8(index)?.replace(PLACE, &hash);
    let mut source = format!(
        "/// Begins the path of every file but the first page.\npub const HASH: &str = \"{hash}\";\n\n"
    );
    source += "static INDEX: Asset = ";
    source += &embed(&out, "index.html", index.as_bytes(), 0)?;
    source += ";\n\nstatic ASSETS: &[Asset] = &[\n";
    for (number, (path, bytes)) in files.iter().enumerate() {
        source += &embed(&out, path, bytes, number + 1)?;
        source += ",\n";
    }
    source += "];\n";
    fs::write(out.join("assets.rs"), source)?;
    Ok(())
}

/// All files below a directory, by their paths with `/`.
fn read(
    directory: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| "a file's name is not UTF-8")?;
        // What editors leave.
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if entry.file_type()?.is_dir() {
            read(&entry.path(), &format!("{path}/"), files)?;
        } else {
            files.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// `words/LANGUAGE/PART.json` become `words/LANGUAGE.json`; a word stands in one part only.
fn merge_words(files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Box<dyn Error>> {
    let mut languages: BTreeMap<String, serde_json::Map<String, serde_json::Value>> =
        BTreeMap::new();
    let paths: Vec<_> = files
        .keys()
        .filter(|path| path.starts_with("words/"))
        .cloned()
        .collect();
    for path in paths {
        let bytes = files.remove(&path).unwrap_or_default();
        let language = path
            .split('/')
            .nth(1)
            .ok_or("a language is a directory of words")?;
        let words: serde_json::Map<_, _> =
            serde_json::from_slice(&bytes).map_err(|error| format!("web/{path}: {error}"))?;
        let all = languages.entry(language.to_owned()).or_default();
        for (key, word) in words {
            if all.insert(key.clone(), word).is_some() {
                return Err(format!("web/{path}: {key} is there twice").into());
            }
        }
    }
    for (language, words) in languages {
        files.insert(
            format!("words/{language}.json"),
            serde_json::to_vec(&words)?,
        );
    }
    Ok(())
}

/// Compresses a file, and gives the text of its `Asset`.
fn embed(out: &Path, path: &str, bytes: &[u8], number: usize) -> Result<String, Box<dyn Error>> {
    let media_type = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("web/{path}: a kind of file that is not served").into()),
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    let compressed = out.join(format!("asset-{number}.gz"));
    fs::write(&compressed, encoder.finish()?)?;
    Ok(format!(
        "Asset {{ path: {path:?}, media_type: {media_type:?}, gzip: include_bytes!({compressed:?}) }}"
    ))
}
