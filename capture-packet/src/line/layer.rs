//! The fields of a layer by name.

use crate::fields::{Field, Value};

/// A layer.
#[derive(Clone, Copy)]
pub(super) struct Layer<'a>(pub(super) &'a Field);

impl<'a> Layer<'a> {
    pub(super) fn name(self) -> &'static str {
        self.0.name
    }

    /// The first value of a field.
    pub(super) fn value(self, name: &str) -> Option<&'a Value> {
        find(&self.0.fields, name)
    }

    pub(super) fn number(self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Number(number) | Value::Hex(number, _) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn is_set(self, name: &str) -> bool {
        matches!(self.value(name), Some(Value::Flag(true)))
    }
}

fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Value> {
    let mut fields = fields.iter();
    fields.find_map(|field| match field.name == name {
        true => Some(&field.value),
        false => find(&field.fields, name),
    })
}

/// The text of a value, nothing where there is none.
pub(super) fn shown(value: Option<&Value>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}
