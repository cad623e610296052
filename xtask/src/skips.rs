//! Tests that this machine cannot run. A test notes that in a file (`capture_tests::skips`), or libtest ignores it;
//! both are counted and named with their reason. CI, which sets `CI=true`, fails on those that `.ci/skips` does
//! not list, so that no test goes missing by a change of the machine.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    command,
    results::{Skip, Tally},
    root,
};

/// The variable by which tests learn of the file of [`Notes`].
pub(crate) const VARIABLE: &str = "CAPTURE_TEST_SKIPS";

/// The skips that CI allows, below the workspace's directory: a line `TEST: REASON` each, and comments.
const ALLOWED: &str = ".ci/skips";

/// The file in which the tests of one run note what they skip.
pub(crate) struct Notes {
    path: PathBuf,
}

impl Notes {
    /// An empty file.
    pub(crate) fn new() -> Result<Self> {
        let directory = root::root().join("target");
        let path = directory.join(format!("skipped-{}", std::process::id()));
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&path, ""))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves what was noted into the tally, and removes the file.
    pub(crate) fn count(self, tally: &mut Tally) -> Result<()> {
        let text = fs::read_to_string(&self.path)
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        fs::remove_file(&self.path)?;
        tally.add_skips(text.lines().filter_map(Skip::of_line).collect());
        Ok(())
    }
}

/// Names the skipped tests. In CI those that are not allowed count as failed.
pub(crate) fn judge(tally: &mut Tally) -> Result<()> {
    for skip in &tally.skipped {
        println!("skipped: {skip}");
    }
    if env::var("CI").as_deref() != Ok("true") {
        return Ok(());
    }
    let path = root::root().join(ALLOWED);
    let allowed = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    for skip in forbidden(&tally.skipped, &allowed) {
        command::say(format_args!("{ALLOWED} does not list {}", skip.test));
        tally.failed += 1;
    }
    Ok(())
}

/// Those that the list has not.
fn forbidden(skipped: &[Skip], list: &str) -> Vec<Skip> {
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    let allowed: Vec<_> = lines.filter_map(Skip::of_line).collect();
    let is_allowed = |skip: &Skip| allowed.iter().any(|listed| listed.test == skip.test);
    let forbidden = skipped.iter().filter(|skip| !is_allowed(skip));
    forbidden.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_may_be_skipped() {
        let list = "# Why.\na::b: not in containers\n";
        let skipped = ["a::b: no FUSE", "a::c: no FUSE"].map(Skip::of_line);
        let skipped: Vec<_> = skipped.into_iter().flatten().collect();
        assert_eq!(forbidden(&skipped, list), skipped[1..]);
        assert_eq!(forbidden(&skipped, ""), skipped);
    }
}
