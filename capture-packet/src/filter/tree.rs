//! The tree of a filter.

use regex::bytes::Regex;

use super::{
    datum::Datum,
    operators::{Quantifier, Relation},
};
use crate::fields::known::{Kind, Known};

/// Something that a packet passes or does not.
#[derive(Clone, Debug)]
pub(super) enum Test {
    And(Vec<Self>),
    Or(Vec<Self>),
    Xor(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// The field is there; with a mask: and has one of its bits.
    Exists(Operand),
    /// Two values are compared.
    Relation(Quantifier, Operand, Relation, Operand),
    /// One of the values lies in a set.
    In(Quantifier, Operand, Vec<Range>),
    /// The bytes have these bytes in them.
    Contains(Quantifier, Operand, Operand),
    /// A regular expression finds something in the bytes.
    Matches(Quantifier, Operand, Regex),
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) source: Source,
    /// Parts of its bytes, joined.
    pub(super) slice: Option<Vec<Slice>>,
    /// Bits that are left of it.
    pub(super) masks: Vec<Operand>,
    /// What its values are.
    pub(super) kind: Kind,
    /// Where it stands, for faults.
    pub(super) column: usize,
}

/// Where values come from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    Field(&'static Known),
    Call(Function, Box<Operand>),
    Literal(Literal),
}

/// A function of the values of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// The length of each in bytes.
    Len,
    /// How many there are.
    Count,
    /// Text in lower case.
    Lower,
    /// Text in upper case.
    Upper,
}

/// A literal of the type of what it is compared with.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) datum: Datum<'static>,
    /// Of a prefix: the bits that count.
    pub(super) mask: Option<Datum<'static>>,
}

/// A member of a set: a literal, or all from one to another.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) from: Literal,
    pub(super) to: Option<Literal>,
}

/// A part of a field's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// Negative: from the end.
    pub(super) start: i32,
    pub(super) end: SliceEnd,
}

/// Where a part ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SliceEnd {
    /// After so many bytes.
    Len(i32),
    /// With this byte; negative: from the end.
    At(i32),
    /// With the field.
    Field,
}

impl Test {
    /// Whether it asks for more than is known of a frame without taking it apart.
    pub(super) fn needs_fields(&self) -> bool {
        match self {
            Self::And(tests) | Self::Or(tests) => tests.iter().any(Self::needs_fields),
            Self::Xor(one, other) => one.needs_fields() || other.needs_fields(),
            Self::Not(test) => test.needs_fields(),
            Self::Exists(operand) | Self::In(_, operand, _) | Self::Matches(_, operand, _) => {
                operand.needs_fields()
            }
            Self::Relation(_, one, _, other) | Self::Contains(_, one, other) => {
                one.needs_fields() || other.needs_fields()
            }
        }
    }
}

impl Operand {
    pub(super) fn of(source: Source, kind: Kind, column: usize) -> Self {
        Self {
            source,
            slice: None,
            masks: Vec::new(),
            kind,
            column,
        }
    }

    fn needs_fields(&self) -> bool {
        let here = match &self.source {
            Source::Field(known) => {
                let of_frame = known.name.split('.').next() == Some("frame");
                !of_frame || known.name == "frame.protocols"
            }
            Source::Call(_, operand) => operand.needs_fields(),
            Source::Literal(_) => false,
        };
        here || self.masks.iter().any(Self::needs_fields)
    }
}
