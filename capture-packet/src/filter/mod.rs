//! A display filter over the fields of a packet, in Wireshark's language: `ip.addr == 10.0.0.0/8 and tcp.port in {80, 443}`.
//!
//! Text becomes a tree (`scan`, `parse`), in which every literal has the type of the field that it is compared with
//! (`literal`); a filter that cannot be meant is refused with the column of the fault. The tree is evaluated on the
//! fields of one packet (`eval`). Nothing is known of other packets, so there is no `tcp.analysis`.
//!
//! A field that occurs several times, such as `ip.addr`, passes if any value does; `!=` wants all of them to differ, as in
//! Wireshark since 4.0. A field that is not there passes no comparison.

mod datum;
mod eval;
mod fault;
mod hint;
mod literal;
mod operand;
mod operators;
mod parse;
mod scan;
mod tree;

use std::{fmt, str::FromStr};

use self::tree::Test;
pub use self::{fault::Fault, parse::MAX_LEN};
use crate::{
    fields::{Field, fields},
    frame::Frame,
};

/// A filter.
#[derive(Clone, Debug)]
pub struct Filter {
    text: String,
    /// `None` lets everything pass.
    test: Option<Test>,
    /// Whether the fields of the frame are asked for; its number and length are known without them.
    needs_fields: bool,
}

impl Filter {
    /// Whether a packet passes.
    pub fn matches(&self, frame: &Frame<'_>) -> bool {
        if !self.needs_fields {
            return self.matches_fields(frame, &[]);
        }
        self.matches_fields(frame, &fields(frame.link_type, frame.data))
    }

    /// Whether a packet passes whose fields are known already.
    pub fn matches_fields(&self, frame: &Frame<'_>, fields: &[Field]) -> bool {
        match &self.test {
            None => true,
            Some(test) => eval::passes(test, frame, fields),
        }
    }
}

impl FromStr for Filter {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let test = parse::parse(text)?;
        Ok(Self {
            text: text.trim().to_owned(),
            needs_fields: test.as_ref().is_some_and(Test::needs_fields),
            test,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
