//! The words and signs between operands.

/// Of how many values of a field something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What stands between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    /// A relation; of any value, or of all, unless the filter says so itself.
    Relation(Relation, Quantifier),
    Contains,
    Matches,
    In,
    NotIn,
}

/// The signs, longer ones before those that they begin with.
pub(super) const SIGNS: [(&str, Operator); 10] = {
    use Operator::{Matches, Relation as Of};
    use Quantifier::{All, Any};
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    [
        ("===", Of(Equal, All)),
        ("!==", Of(NotEqual, Any)),
        ("==", Of(Equal, Any)),
        ("!=", Of(NotEqual, All)),
        ("~=", Of(NotEqual, Any)),
        ("<=", Of(LessOrEqual, Any)),
        (">=", Of(GreaterOrEqual, Any)),
        ("<", Of(Less, Any)),
        (">", Of(Greater, Any)),
        ("~", Matches),
    ]
};

/// The words.
pub(super) const WORDS: [(&str, Operator); 13] = {
    use Operator::{Contains, In, Matches, Relation as Of};
    use Quantifier::{All, Any};
    use Relation::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    [
        ("eq", Of(Equal, Any)),
        ("any_eq", Of(Equal, Any)),
        ("all_eq", Of(Equal, All)),
        ("ne", Of(NotEqual, All)),
        ("all_ne", Of(NotEqual, All)),
        ("any_ne", Of(NotEqual, Any)),
        ("gt", Of(Greater, Any)),
        ("ge", Of(GreaterOrEqual, Any)),
        ("lt", Of(Less, Any)),
        ("le", Of(LessOrEqual, Any)),
        ("contains", Contains),
        ("matches", Matches),
        ("in", In),
    ]
};
