//! The grammar: from text to a tree. `or` binds weakest, then `xor`, `and`, `not`, comparisons, and `&`.

use super::{
    fault::Fault,
    operators::{Operator, Quantifier, SIGNS, WORDS},
    scan::Scanner,
    tree::{Operand, Source, Test},
};

/// Longest filter in bytes.
pub const MAX_LEN: usize = 4096;

/// Most parentheses and negations around anything.
const MAX_DEPTH: usize = 64;

/// The tree of a filter; `None` where the text is empty.
pub(super) fn parse(text: &str) -> Result<Option<Test>, Fault> {
    if text.len() > MAX_LEN {
        return Err(Fault {
            column: 1,
            message: format!(
                "a filter has at most {MAX_LEN} bytes, and this one {}",
                text.len()
            ),
        });
    }
    let mut parser = Parser {
        scanner: Scanner::new(text),
        depth: 0,
        patterns: 0,
    };
    if parser.scanner.is_at_end() {
        return Ok(None);
    }
    let test = parser.or()?;
    if !parser.scanner.is_at_end() {
        return parser.unexpected("`and`, `or` or the end");
    }
    Ok(Some(test))
}

/// A place in a filter.
pub(super) struct Parser<'a> {
    pub(super) scanner: Scanner<'a>,
    depth: usize,
    pub(super) patterns: usize, // so far
}

impl<'a> Parser<'a> {
    pub(super) fn unexpected<T>(&self, wanted: &str) -> Result<T, Fault> {
        let found = self.scanner.found();
        self.scanner
            .fault(format!("{wanted} should stand here, not {found}"))
    }

    /// Takes a word or the sign that means the same.
    fn take(&mut self, word: &str, sign: &str) -> bool {
        self.scanner.take_word(word) || self.scanner.take_sign(sign)
    }

    fn or(&mut self) -> Result<Test, Fault> {
        let mut tests = vec![self.xor()?];
        while self.take("or", "||") {
            tests.push(self.xor()?);
        }
        Ok(joined(tests, Test::Or))
    }

    fn xor(&mut self) -> Result<Test, Fault> {
        let mut test = self.and()?;
        let mut count = 0;
        while self.take("xor", "^^") {
            // Each is one level of the tree.
            count += 1;
            if self.depth + count > MAX_DEPTH {
                return self.too_deep();
            }
            test = Test::Xor(Box::new(test), Box::new(self.and()?));
        }
        Ok(test)
    }

    fn and(&mut self) -> Result<Test, Fault> {
        let mut tests = vec![self.not()?];
        while self.take("and", "&&") {
            tests.push(self.not()?);
        }
        Ok(joined(tests, Test::And))
    }

    fn not(&mut self) -> Result<Test, Fault> {
        let is_sign =
            self.scanner.rest().starts_with('!') && !self.scanner.rest().starts_with("!=");
        if self.scanner.take_word("not") || (is_sign && self.scanner.take_sign("!")) {
            let test = self.deeper(Self::not)?;
            return Ok(Test::Not(Box::new(test)));
        }
        if self.scanner.take_sign("(") {
            let test = self.deeper(Self::or)?;
            if !self.scanner.take_sign(")") {
                return self.unexpected("`)`, `and` or `or`");
            }
            return Ok(test);
        }
        self.test()
    }

    pub(super) fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn too_deep<T>(&self) -> Result<T, Fault> {
        self.scanner.fault(format!(
            "more than {MAX_DEPTH} parentheses or negations around this"
        ))
    }

    /// A field, or comparisons of it. `a < b < c` is `a < b and b < c`.
    fn test(&mut self) -> Result<Test, Fault> {
        let quantifier = self.quantifier();
        let mut left = self.left()?;
        let Some(mut operator) = self.operator() else {
            return match (&quantifier, &left.source) {
                (Some(_), _) => self.unexpected("an operator such as =="),
                (None, Source::Call(..)) => self.unexpected("an operator such as =="),
                (None, _) => Ok(Test::Exists(left)),
            };
        };
        let mut tests = Vec::new();
        loop {
            let (test, right) = self.comparison(quantifier, left, operator)?;
            tests.push(test);
            let column = self.scanner.column();
            operator = match self.operator() {
                None => return Ok(joined(tests, Test::And)),
                Some(next) => next,
            };
            left = match right {
                Some(right) => right,
                None => {
                    let message = "a field belongs on the left of an operator".to_owned();
                    return Err(Fault { column, message });
                }
            };
        }
    }

    fn quantifier(&mut self) -> Option<Quantifier> {
        if self.scanner.take_word("any") {
            return Some(Quantifier::Any);
        }
        self.scanner.take_word("all").then_some(Quantifier::All)
    }

    fn operator(&mut self) -> Option<Operator> {
        if let Some(word) = self.scanner.word() {
            if word == "not" {
                let before = self.scanner;
                self.scanner.take(word);
                if self.scanner.take_word("in") {
                    return Some(Operator::NotIn);
                }
                self.scanner = before;
                return None;
            }
            let (word, operator) = WORDS.iter().find(|(known, _)| *known == word)?;
            self.scanner.take(word);
            return Some(*operator);
        }
        let signs = SIGNS.iter();
        let mut found = signs.filter(|(sign, _)| self.scanner.rest().starts_with(sign));
        let (sign, operator) = found.next()?;
        self.scanner.take_sign(sign);
        Some(*operator)
    }

    /// What an operator makes of its sides, and the right one where that is a field.
    fn comparison(
        &mut self,
        quantifier: Option<Quantifier>,
        left: Operand,
        operator: Operator,
    ) -> Result<(Test, Option<Operand>), Fault> {
        let any = quantifier.unwrap_or(Quantifier::Any);
        match operator {
            Operator::Relation(relation, usual) => {
                let right = self.right(&left, false)?;
                let next = matches!(right.source, Source::Field(_)).then(|| right.clone());
                let quantifier = quantifier.unwrap_or(usual);
                Ok((Test::Relation(quantifier, left, relation, right), next))
            }
            Operator::Contains => {
                Self::refuse_without_bytes(&left, "contains")?;
                let right = self.right(&left, false)?;
                Ok((Test::Contains(any, left, right), None))
            }
            Operator::Matches => {
                Self::refuse_without_bytes(&left, "matches")?;
                let pattern = self.pattern()?;
                Ok((Test::Matches(any, left, pattern), None))
            }
            Operator::In => {
                let ranges = self.set(&left)?;
                Ok((Test::In(any, left, ranges), None))
            }
            Operator::NotIn => {
                let ranges = self.set(&left)?;
                Ok((Test::Not(Box::new(Test::In(any, left, ranges))), None))
            }
        }
    }
}

fn joined(mut tests: Vec<Test>, join: fn(Vec<Test>) -> Test) -> Test {
    match tests.len() {
        1 => tests.remove(0),
        _ => join(tests),
    }
}
