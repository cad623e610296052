//! Contexts: daemons by name, as docker and kubectl have them. They lie in `contexts.toml` of the user's configuration,
//! which is replaced as a whole and is nobody else's to read. It names files of tokens, and holds none.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use capture_task::{Cause, error::ErrorKind, plan::quote};
use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    error::{Error, Result},
};

/// The name of the daemon of this host, which is always there.
pub const LOCAL: &str = "local";

/// Most characters of a name.
const LONGEST_NAME: usize = 64;

/// Most bytes of the file.
const LONGEST: u64 = 1 << 20;

/// One daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Where it is, as `--url` takes it.
    pub url: String,
    /// Absolute path of the file of a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Absolute path of the certificates of authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// The contexts of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one in use; [`LOCAL`] where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads those of this user; without a file there are none. Neither are there where only another user may look: `su` and
    /// setpriv(1) leave HOME as it was.
    ///
    /// # Errors
    /// The file cannot be read, or is not as it is written here.
    pub fn load() -> Result<Self> {
        match path() {
            Some(path) if is_foreign(&path) => {
                log::warn!(
                    "{} belongs to another user, so its contexts are not used: HOME is that user's",
                    path.display()
                );
                Ok(Self::default())
            }
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let wrong = |why: String| Error::usage(format!("{shown}: {why}"));
        let text = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Ok(metadata) if metadata.len() > LONGEST => {
                return Err(wrong("it is too long for a file of contexts".to_owned()));
            }
            Ok(_) => fs::read_to_string(path),
            Err(error) => Err(error),
        };
        let text = text.map_err(|error| wrong(Cause(&error).to_string()))?;
        let read: Self = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            Error::usage(format!("{shown}, line {line}: {}", error.message()))
        })?;
        for (name, context) in &read.contexts {
            check_name(name).map_err(wrong)?;
            Address::parse(&context.url)
                .map_err(|fault| wrong(format!("context {}: url: {fault}", quote(name))))?;
        }
        Ok(read)
    }

    /// Changes the contexts of this user, alone among programs that do.
    ///
    /// # Errors
    /// The file cannot be read or written, or the change is refused.
    pub fn change<T>(change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let path = path().ok_or_else(|| {
            Error::usage("neither XDG_CONFIG_HOME nor HOME says where contexts are kept")
        })?;
        Self::change_in(&path, change)
    }

    fn change_in<T>(path: &Path, change: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let failed = |error: &io::Error| {
            let message = format!("{} cannot be written: {}", path.display(), Cause(error));
            Error::new(ErrorKind::Runtime, message)
        };
        let home = path.parent().unwrap_or(Path::new("/"));
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(home)
            .map_err(|error| failed(&error))?;
        let lock = File::open(home).map_err(|error| failed(&error))?;
        lock.lock().map_err(|error| failed(&error))?;
        let mut contexts = Self::read(path)?;
        let before = contexts.clone();
        let done = change(&mut contexts)?;
        if contexts != before {
            contexts.write(path, home).map_err(|error| failed(&error))?;
        }
        Ok(done)
    }

    fn write(&self, path: &Path, home: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        // Of mode 0600 from the beginning.
        let mut file = tempfile::NamedTempFile::new_in(home)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(home)?.sync_all()
    }

    /// The context of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(&self, name: &str) -> Result<&Context> {
        self.contexts.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!(
                    "no context has the name {}; `capture-agent context list` shows all",
                    quote(name)
                ),
            )
        })
    }

    /// The name of the one in use.
    pub fn current(&self) -> &str {
        self.current.as_deref().unwrap_or(LOCAL)
    }

    /// Enters a new one.
    ///
    /// # Errors
    /// The name is taken, or is none; the URL is none.
    pub fn create(&mut self, name: &str, context: Context) -> Result<()> {
        check_name(name).map_err(Error::usage)?;
        Address::parse(&context.url).map_err(|fault| Error::usage(format!("--url: {fault}")))?;
        if name == LOCAL {
            return Err(Error::new(
                ErrorKind::Conflict,
                "local is the daemon of this host; choose another name",
            ));
        }
        if self.contexts.contains_key(name) {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "there is a context {name} already; remove it first by `capture-agent context remove {name}`"
                ),
            ));
        }
        self.contexts.insert(name.to_owned(), context);
        Ok(())
    }

    /// Makes one the daemon of commands that name no other.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn use_by_default(&mut self, name: &str) -> Result<()> {
        self.current = match name {
            LOCAL => None,
            name => self.named(name).map(|_| Some(name.to_owned()))?,
        };
        Ok(())
    }

    /// Removes one. Where it was in use, the local daemon is from then on; this is told.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn remove(&mut self, name: &str) -> Result<bool> {
        if name == LOCAL {
            return Err(Error::usage(
                "local is the daemon of this host, and cannot be removed",
            ));
        }
        self.named(name)?;
        self.contexts.remove(name);
        let was_current = self.current.as_deref() == Some(name);
        if was_current {
            self.current = None;
        }
        Ok(was_current)
    }
}

/// Where the contexts of this user are.
fn path() -> Option<PathBuf> {
    // A relative path is to be ignored (XDG Base Directory Specification).
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let config = config
        .and_then(absolute)
        .or_else(|| home().and_then(absolute))?;
    Some(config.join("capture-agent").join("contexts.toml"))
}

/// A name is a word that needs no quotes.
fn check_name(name: &str) -> Result<(), String> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_word =
        name.chars().all(is_good) && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match is_word && name.len() <= LONGEST_NAME {
        true => Ok(()),
        false => Err(format!(
            "{} is no name of a context: 1 to {LONGEST_NAME} letters, digits, \".\", \"_\" or \"-\", a letter or digit first",
            quote(name)
        )),
    }
}

/// Whether this user may not even open it.
fn is_foreign(path: &Path) -> bool {
    let opened = File::open(path);
    opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(url: &str) -> Context {
        Context {
            url: url.to_owned(),
            token_file: Some("/a/token".into()),
            ca: None,
        }
    }

    #[test]
    fn contexts_are_kept_and_nobody_elses() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("capture-agent/contexts.toml");
        assert_eq!(Contexts::read(&path).expect("none"), Contexts::default());
        Contexts::change_in(&path, |all| {
            all.create("prod.eu", context("https://a.example:8443"))?;
            all.create("lab", context("ssh://lab"))?;
            all.use_by_default("lab")
        })
        .expect("two");
        let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().expect("a directory")), 0o700);
        let all = Contexts::read(&path).expect("two");
        assert_eq!(all.current(), "lab");
        assert_eq!(
            all.named("prod.eu").expect("one"),
            &context("https://a.example:8443")
        );

        let refused = |change: &dyn Fn(&mut Contexts) -> Result<()>| {
            let before = fs::read(&path).expect("a file");
            let error = Contexts::change_in(&path, |all| change(all)).expect_err("refused");
            assert_eq!(fs::read(&path).expect("a file"), before);
            error.kind()
        };
        let create = |name: &'static str, url: &'static str| {
            move |all: &mut Contexts| all.create(name, context(url))
        };
        assert_eq!(refused(&create("lab", "ssh://b")), ErrorKind::Conflict);
        assert_eq!(refused(&create("local", "ssh://b")), ErrorKind::Conflict);
        for name in ["", "a b", "-a", "ä", &"a".repeat(65)] {
            let name = name.to_owned();
            let create = move |all: &mut Contexts| all.create(&name, context("ssh://b"));
            assert_eq!(refused(&create), ErrorKind::Usage);
        }
        assert_eq!(refused(&create("new", "http://b")), ErrorKind::Usage);
        assert_eq!(
            refused(&|all| all.use_by_default("none")),
            ErrorKind::NotFound
        );
        assert_eq!(
            refused(&|all| all.remove("none").map(drop)),
            ErrorKind::NotFound
        );
        assert_eq!(
            refused(&|all| all.remove("local").map(drop)),
            ErrorKind::Usage
        );

        let was_current = Contexts::change_in(&path, |all| all.remove("lab")).expect("removed");
        assert!(was_current);
        assert_eq!(Contexts::read(&path).expect("one").current(), LOCAL);
    }

    #[test]
    fn a_file_that_is_none_is_named_with_its_line() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("contexts.toml");
        for (text, part) in [
            ("current = \n", "line 1"),
            ("[contexts.a]\nurl = \"ssh://a\"\nuser = \"b\"\n", "line 3"),
            ("[contexts.a]\nurl = \"http://a\"\n", "context \"a\": url"),
            (
                "[contexts.\"a b\"]\nurl = \"ssh://a\"\n",
                "no name of a context",
            ),
        ] {
            fs::write(&path, text).expect("a file");
            let error = Contexts::read(&path).expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
