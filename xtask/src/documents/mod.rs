//! The documents, checked: links lead somewhere, pages are short and plain, every block of commands has a
//! language by which `tests/tests/integration/documents` runs it, and the reference has what the source has, and
//! nothing else.

mod command_line;
mod facts;
mod links;
mod named;
mod page;
mod prose;
mod reference;
mod source;

use anyhow::{Result, bail};

use self::{facts::Facts, page::Page};
use crate::workspace;

/// Fails with every rule that is broken, and where.
pub(crate) fn check() -> Result<()> {
    let root = workspace::root();
    let pages = Page::all(root)?;
    let mut broken = links::broken(&pages, root);
    broken.extend(prose::broken(&pages));
    let facts = Facts::read()?;
    broken.extend(facts.broken(&pages));
    broken.extend(facts.unknown_names(&pages));
    match broken.as_slice() {
        [] => Ok(()),
        broken => bail!("{}", broken.join("\n")),
    }
}
