//! Whether a packet passes.

use std::cmp::Ordering;

use super::{
    datum::Datum,
    operators::{Quantifier, Relation},
    tree::{Function, Literal, Operand, Range, Slice, SliceEnd, Source, Test},
};
use crate::{
    fields::{Field, Value, known::Kind},
    frame::Frame,
};

/// Whether a packet with these fields passes the test.
pub(super) fn passes(test: &Test, frame: &Frame<'_>, fields: &[Field]) -> bool {
    let packet = Packet { frame, fields };
    match test {
        Test::And(tests) => tests.iter().all(|test| passes(test, frame, fields)),
        Test::Or(tests) => tests.iter().any(|test| passes(test, frame, fields)),
        Test::Xor(one, other) => passes(one, frame, fields) != passes(other, frame, fields),
        Test::Not(test) => !passes(test, frame, fields),
        Test::Exists(operand) => {
            let is_masked = !operand.masks.is_empty();
            let mut values = packet.values(operand);
            match is_masked {
                true => values.any(|value| value.is_nonzero()),
                false => values.next().is_some(),
            }
        }
        Test::Relation(quantifier, one, relation, other) => {
            packet.relation(*quantifier, one, *relation, other)
        }
        Test::In(quantifier, operand, ranges) => {
            holds(*quantifier, packet.values(operand), |value| {
                ranges.iter().any(|range| lies_in(value, range))
            })
        }
        Test::Contains(quantifier, one, other) => {
            let needles: Vec<_> = packet.values(other).collect();
            holds(*quantifier, packet.values(one), |value| {
                needles.iter().any(|needle| contains(value, needle))
            })
        }
        Test::Matches(quantifier, operand, pattern) => {
            holds(*quantifier, packet.values(operand), |value| {
                pattern.is_match(&value.to_bytes())
            })
        }
    }
}

/// A packet that a test looks at.
#[derive(Clone, Copy)]
struct Packet<'a> {
    frame: &'a Frame<'a>,
    fields: &'a [Field],
}

/// Whether something holds of any value, or of all; never where there is none.
fn holds<'a>(
    quantifier: Quantifier,
    mut values: impl Iterator<Item = Datum<'a>>,
    mut test: impl FnMut(&Datum<'a>) -> bool,
) -> bool {
    match quantifier {
        Quantifier::Any => values.any(|value| test(&value)),
        Quantifier::All => {
            let mut is_there = false;
            values.all(|value| {
                is_there = true;
                test(&value)
            }) && is_there
        }
    }
}

impl Relation {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::NotEqual => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// How a value compares with a literal; of a prefix only its own bits count.
fn compare(value: &Datum<'_>, literal: &Literal) -> Option<Ordering> {
    match &literal.mask {
        Some(mask) => value.clone().masked(mask).compare(&literal.datum),
        None => value.compare(&literal.datum),
    }
}

fn lies_in(value: &Datum<'_>, range: &Range) -> bool {
    let order = compare(value, &range.from);
    match &range.to {
        None => Relation::Equal.holds(order),
        Some(to) => {
            Relation::GreaterOrEqual.holds(order) && Relation::LessOrEqual.holds(compare(value, to))
        }
    }
}

/// Whether bytes are among others. As in Wireshark, nothing contains an empty text.
fn contains(value: &Datum<'_>, needle: &Datum<'_>) -> bool {
    let (bytes, needle) = (value.to_bytes(), needle.to_bytes());
    !needle.is_empty() && memchr::memmem::find(&bytes, &needle).is_some()
}

impl<'a> Packet<'a> {
    fn relation(
        self,
        quantifier: Quantifier,
        one: &'a Operand,
        relation: Relation,
        other: &'a Operand,
    ) -> bool {
        if let (Source::Literal(literal), true) = (&other.source, other.masks.is_empty()) {
            return holds(quantifier, self.values(one), |value| {
                relation.holds(compare(value, literal))
            });
        }
        let others: Vec<_> = self.values(other).collect();
        holds(quantifier, self.values(one), |value| {
            let compared = others.iter().map(|other| value.compare(other));
            let mut held = compared.map(|order| relation.holds(order));
            match quantifier {
                Quantifier::Any => held.any(|held| held),
                Quantifier::All => !others.is_empty() && held.all(|held| held),
            }
        })
    }

    /// The values of an operand. Those whose slice lies outside are left out.
    fn values(self, operand: &'a Operand) -> Box<dyn Iterator<Item = Datum<'a>> + 'a> {
        let values: Box<dyn Iterator<Item = Datum<'a>> + 'a> = match &operand.source {
            Source::Literal(literal) => Box::new(std::iter::once(literal.datum.clone())),
            Source::Call(function, operand) => self.call(*function, operand),
            Source::Field(known) if known.stands_for.is_empty() => {
                self.named(known.name, known.kind)
            }
            Source::Field(known) => {
                let names = known.stands_for.iter();
                Box::new(names.flat_map(move |name| self.named(name, known.kind)))
            }
        };
        let values: Box<dyn Iterator<Item = Datum<'a>> + 'a> = match &operand.slice {
            None => values,
            Some(slices) => Box::new(values.filter_map(|value| sliced(&value, slices))),
        };
        if operand.masks.is_empty() {
            return values;
        }
        Box::new(values.flat_map(move |value| self.masked(value, &operand.masks)))
    }

    fn masked(self, value: Datum<'a>, masks: &'a [Operand]) -> Vec<Datum<'a>> {
        masks.iter().fold(vec![value], |values, mask| {
            let masks: Vec<_> = self.values(mask).collect();
            let each = values
                .into_iter()
                .flat_map(|value| masks.iter().map(move |mask| value.clone().masked(mask)));
            // A field that occurs often, masked by one that does, is no reason to run out of memory.
            each.take(MOST_VALUES).collect()
        })
    }

    fn call(
        self,
        function: Function,
        operand: &'a Operand,
    ) -> Box<dyn Iterator<Item = Datum<'a>> + 'a> {
        let values = self.values(operand);
        match function {
            Function::Count => {
                let count = values.count() as u64;
                Box::new((count > 0).then_some(Datum::Number(count)).into_iter())
            }
            Function::Len => {
                Box::new(values.map(|value| Datum::Number(value.to_bytes().len() as u64)))
            }
            Function::Lower => Box::new(
                values.map(|value| Datum::Bytes(value.to_bytes().to_ascii_lowercase().into())),
            ),
            Function::Upper => Box::new(
                values.map(|value| Datum::Bytes(value.to_bytes().to_ascii_uppercase().into())),
            ),
        }
    }

    /// The values of one field, in the order of the packet.
    fn named(self, name: &'static str, kind: Kind) -> Box<dyn Iterator<Item = Datum<'a>> + 'a> {
        if let Some(of_frame) = self.of_frame(name) {
            return Box::new(of_frame.into_iter());
        }
        let mut found = Vec::new();
        collect(self.fields, name, &mut found);
        Box::new(found.into_iter().map(move |field| self.datum(field, kind)))
    }

    /// What is known of the frame without its fields; `None` for other fields.
    fn of_frame(self, name: &str) -> Option<Option<Datum<'a>>> {
        let name = match name {
            "frame" => "",
            name => name.strip_prefix("frame.")?,
        };
        let Frame {
            number,
            time,
            link_type: _,
            wire_len,
            interface,
            interface_name,
            data,
        } = *self.frame;
        Some(match name {
            "" => Some(Datum::Bytes(data.into())),
            "number" => Some(Datum::Number(number)),
            "len" => Some(Datum::Number(wire_len.into())),
            "cap_len" => Some(Datum::Number(data.len() as u64)),
            "time_epoch" => time.map(|time| Datum::Nanoseconds(time.epoch)),
            "time_relative" => time.map(|time| Datum::Nanoseconds(time.relative)),
            "time_delta" => time.map(|time| Datum::Nanoseconds(time.delta)),
            "interface_id" => Some(Datum::Number(interface.into())),
            "interface_name" => interface_name.map(|name| Datum::Bytes(name.as_bytes().into())),
            "protocols" => {
                let names: Vec<_> = self.fields.iter().map(|layer| layer.name).collect();
                Some(Datum::Bytes(names.join(":").into_bytes().into()))
            }
            _ => None,
        })
    }

    fn datum(self, field: &'a Field, kind: Kind) -> Datum<'a> {
        let start = field.offset as usize;
        match &field.value {
            Value::Number(number) | Value::Hex(number, _) => Datum::Number(*number),
            Value::Flag(is_set) => Datum::Number((*is_set).into()),
            Value::Address(address) => Datum::Address(*address),
            Value::Mac(mac) => Datum::Mac(*mac),
            Value::Text(text) => Datum::Bytes(text.as_bytes().into()),
            Value::Title(_) | Value::Bytes => {
                let end = match kind {
                    Kind::Layer => self.end_of(field),
                    _ => start + field.len as usize,
                };
                let bytes = self.frame.data.get(start..end);
                Datum::Bytes(bytes.unwrap_or_default().into())
            }
        }
    }

    /// Where what a layer carries ends: with the last layer of the packet. A link layer has the padding, too.
    fn end_of(self, layer: &Field) -> usize {
        if matches!(layer.name, "eth" | "sll") {
            return self.frame.data.len();
        }
        let ends = self.fields.iter().map(|layer| layer.offset + layer.len);
        ends.max().unwrap_or(0) as usize
    }
}

/// Most values of a masked field that are looked at.
const MOST_VALUES: usize = 1024;

fn collect<'a>(fields: &'a [Field], name: &str, into: &mut Vec<&'a Field>) {
    for field in fields {
        if field.name == name {
            into.push(field);
        }
        collect(&field.fields, name, into);
    }
}

/// The parts of a value, joined; `None` where one lies outside.
fn sliced<'a>(value: &Datum<'a>, slices: &[Slice]) -> Option<Datum<'a>> {
    let bytes = value.to_bytes();
    let mut joined = Vec::new();
    for slice in slices {
        let place = |at: i32| match at {
            0.. => usize::try_from(at).ok(),
            _ => bytes.len().checked_sub(at.unsigned_abs() as usize),
        };
        let start = place(slice.start)?;
        let end = match slice.end {
            SliceEnd::Len(len) => start.checked_add(usize::try_from(len).ok()?)?,
            SliceEnd::At(last) => place(last)?.checked_add(1)?,
            SliceEnd::Field => bytes.len(),
        };
        let part = bytes.get(start..end).filter(|part| !part.is_empty())?;
        joined.extend_from_slice(part);
    }
    Some(Datum::Bytes(joined.into()))
}
