//! Warnings about the modes of files that the daemon reads.

use std::os::unix::fs::MetadataExt as _;

use crate::config::LiveConfig;

/// Warns of files that others could read or write, and should not.
pub(super) fn warn(live: &LiveConfig) {
    let config = live.get();
    let key = config.http.tls.as_ref().map(|tls| &*tls.key);
    for (path, bits, harm, remedy) in [
        (
            key,
            0o004,
            "every user of this host can read the private key",
            "o=",
        ),
        (
            live.file(),
            0o002,
            "every user of this host can change the configuration",
            "o-w",
        ),
    ] {
        let Some(path) = path else { continue };
        let mode = path.metadata().map_or(0, |metadata| metadata.mode());
        if mode & bits != 0 {
            let shown = path.display();
            log::warn!("{shown}: {harm}; `chmod {remedy} {shown}`");
        }
    }
}
