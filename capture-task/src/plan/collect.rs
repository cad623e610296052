//! Faults of one request on their way to the caller. [`Plan::resolve`](super::Plan::resolve) collects, so that
//! people see all of them at once.

use super::{
    fault::{Fault, FaultKind},
    field::Field,
};

/// Collects the faults of one request.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes a fault of a field.
    pub(super) fn add(&mut self, field: Field, kind: FaultKind) {
        self.0.push(Fault::of(field, kind));
    }

    /// Notes a fault of one item of a list.
    pub(super) fn add_item(&mut self, field: Field, index: usize, kind: FaultKind) {
        self.0.push(Fault::of_item(field, index, kind));
    }

    /// The value of a field, or nothing and a fault noted.
    pub(super) fn check<T>(&mut self, field: Field, value: Result<T, FaultKind>) -> Option<T> {
        value.map_err(|kind| self.add(field, kind)).ok()
    }

    /// [`Self::check`] for one item of a list.
    pub(super) fn check_item<T>(
        &mut self,
        field: Field,
        index: usize,
        value: Result<T, FaultKind>,
    ) -> Option<T> {
        value.map_err(|kind| self.add_item(field, index, kind)).ok()
    }

    /// [`Self::check`] for a field that may be absent.
    pub(super) fn check_given<T, U>(
        &mut self,
        field: Field,
        value: Option<&T>,
        parse: impl FnOnce(&T) -> Result<U, FaultKind>,
    ) -> Option<U> {
        value.and_then(|value| self.check(field, parse(value)))
    }

    /// The faults in the order in which they were noted.
    pub(super) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}
