//! The C library that an agent needs at least, by the versions of its symbols.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::command;

/// The oldest C library that packages run with: that of Debian 10, RHEL 8, Ubuntu 18.10.
pub(super) const OLDEST: &str = "2.28";

/// Needs no newer C library than [`OLDEST`].
pub(super) fn check(agent: &Path) -> Result<()> {
    ensure!(
        runs_with(agent, OLDEST)?,
        "{} needs a newer glibc than {OLDEST}",
        agent.display()
    );
    Ok(())
}

/// Whether a version of the C library is new enough for an agent.
pub(super) fn runs_with(agent: &Path, glibc: &str) -> Result<bool> {
    let symbols = command::output(Command::new("objdump").arg("-T").arg(agent))?;
    let newest = newest_glibc(&symbols).context("objdump names no version of the C library")?;
    Ok(newest <= version(glibc).context("a version")?)
}

fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1);
    versions
        .filter_map(|rest| version(rest.split([')', ' ', '\n']).next()?))
        .max()
}

fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_counts() {
        let symbols = "0 DF *UND* 0 (GLIBC_2.2.5) free\n0 DF *UND* 0 (GLIBC_2.28) fcntl64\n\
                       0 DF *UND* 0 (GLIBC_2.17) x\n";
        assert_eq!(newest_glibc(symbols), Some((2, 28)));
        assert_eq!(newest_glibc("nothing"), None);
    }
}
