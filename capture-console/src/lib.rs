//! The files of the web console, embedded: pages, modules and style sheets of our own, words in three languages. There
//! is no build step beyond compression; the daemon serves them, and the page then talks to the API like any client.
//!
//! `index.html` names all others by [`HASH`], which changes with each of them. So it is never kept, and they are kept
//! for ever.

use std::io::Read as _;

use flate2::read::GzDecoder;

/// What the page may do, as a `Content-Security-Policy`: nothing from elsewhere, no script or style but files of its
/// own, and no way to make markup of a text (Trusted Types without a policy).
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
#[derive(Debug)]
pub struct Asset {
    /// Where it is, below the hash; parts are separated by `/`.
    pub path: &'static str,
    /// Value of `Content-Type`.
    pub media_type: &'static str,
    /// The file, compressed (RFC 1952).
    pub gzip: &'static [u8],
}

impl Asset {
    /// The file as it is.
    pub fn plain(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // It was compressed when this program was built, and the memory has not changed.
        let _ = GzDecoder::new(self.gzip).read_to_end(&mut bytes);
        bytes
    }
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The first page, `index.html`.
pub fn index() -> &'static Asset {
    &INDEX
}

/// A file by its path below the hash.
pub fn asset(path: &str) -> Option<&'static Asset> {
    let found = ASSETS.binary_search_by(|asset| asset.path.cmp(path));
    found.ok().and_then(|at| ASSETS.get(at))
}

/// All files but the first page, by their paths.
pub fn assets() -> &'static [Asset] {
    ASSETS
}

#[cfg(test)]
mod tests;
