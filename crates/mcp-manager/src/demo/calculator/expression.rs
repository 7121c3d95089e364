//! Evaluating an expression while reading it.
//!
//! The parser is one of Pratt's ("Top Down Operator Precedence", 1973): every operator binds its
//! sides with a power of its own, and one function climbs them.

use super::functions;
use super::lexer::{Kind, Lexer, Token};

/// Bounds on what is evaluated. An expression that a person means has neither.
pub(super) const LENGTH_MAX: usize = 1000;
const DEPTH_MAX: usize = 64;

/// How strongly unary minus binds: more than `*`, less than `^`, so that -2^2 is -4.
const MINUS_POWER: u8 = 5;

/// Why an expression has no value, and where: the number of a character, counted from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("At character {position}: {problem}.")]
pub(super) struct Error {
    pub(super) position: usize,
    pub(super) problem: Problem,
}

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum Problem {
    #[error("the expression is longer than {LENGTH_MAX} characters")]
    TooLong,
    #[error("the expression nests deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("{0:?} is no number")]
    Number(String),
    #[error("{0:?} cannot be used here, write + - * / % ^ ( ) , numbers and names")]
    Character(char),
    #[error("{name:?} is unknown, the known names are {}", functions::NAMES)]
    Name { name: String },
    #[error("expected {expected}, found {found}")]
    Unexpected { expected: &'static str, found: String },
    #[error("the function takes {expected}, not {got}")]
    Arguments { expected: &'static str, got: usize },
    #[error("division by zero")]
    DivisionByZero,
    #[error("the value is not defined, or no real number")]
    Undefined,
    #[error("the value is too large")]
    TooLarge,
}

/// The value of `text`.
pub(super) fn evaluate(text: &str) -> Result<f64, Error> {
    if text.chars().nth(LENGTH_MAX).is_some() {
        return Err(Error { position: LENGTH_MAX + 1, problem: Problem::TooLong });
    }
    let mut parser = Parser { lexer: Lexer::new(text), depth: 0 };
    let value = parser.expression(0)?;
    let end = parser.lexer.next()?;
    if end.kind == Kind::End { Ok(value) } else { Err(unexpected("an operator", end)) }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

impl Parser<'_> {
    /// Reads as much as binds at least as strongly as `power`.
    fn expression(&mut self, power: u8) -> Result<f64, Error> {
        let first = self.lexer.peek()?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Error { position: first.position, problem: Problem::TooDeep });
        }
        let mut value = self.operand()?;
        loop {
            let token = self.lexer.peek()?;
            let Kind::Symbol(operator) = token.kind else { break };
            let Some((left, right)) = powers(operator) else { break };
            if left < power {
                break;
            }
            self.lexer.next()?;
            let other = self.expression(right)?;
            let result = apply(operator, value, other);
            value = result.map_err(|problem| Error { position: token.position, problem })?;
        }
        self.depth -= 1;
        Ok(value)
    }

    fn operand(&mut self) -> Result<f64, Error> {
        let token = self.lexer.next()?;
        match token.kind {
            Kind::Number(number) => Ok(number),
            Kind::Symbol('-') => Ok(-self.expression(MINUS_POWER)?),
            Kind::Symbol('(') => {
                let value = self.expression(0)?;
                self.expect(')', "`)`")?;
                Ok(value)
            }
            Kind::Name(name) => self.named(name, token.position),
            _ => Err(unexpected("a number, a name, `-` or `(`", token)),
        }
    }

    fn named(&mut self, name: &str, position: usize) -> Result<f64, Error> {
        if let Some(constant) = functions::constant(name) {
            return Ok(constant);
        }
        if !functions::is_function(name) {
            return Err(Error { position, problem: Problem::Name { name: name.to_owned() } });
        }
        self.expect('(', "`(` after the function")?;
        let mut arguments = Vec::new();
        loop {
            arguments.push(self.expression(0)?);
            let token = self.lexer.next()?;
            match token.kind {
                Kind::Symbol(',') => {}
                Kind::Symbol(')') => break,
                _ => return Err(unexpected("`,` or `)`", token)),
            }
        }
        functions::call(name, &arguments).map_err(|problem| Error { position, problem })
    }

    fn expect(&mut self, symbol: char, expected: &'static str) -> Result<(), Error> {
        let token = self.lexer.next()?;
        if token.kind == Kind::Symbol(symbol) { Ok(()) } else { Err(unexpected(expected, token)) }
    }
}

/// How strongly an operator binds what is left of it and what is right of it.
fn powers(operator: char) -> Option<(u8, u8)> {
    match operator {
        '+' | '-' => Some((1, 2)),
        '*' | '/' | '%' => Some((3, 4)),
        // From right to left: 2^3^2 is 2^9.
        '^' => Some((7, 6)),
        _ => None,
    }
}

fn apply(operator: char, left: f64, right: f64) -> Result<f64, Problem> {
    let value = match operator {
        '+' => left + right,
        '-' => left - right,
        '*' => left * right,
        '/' | '%' if right == 0.0 => return Err(Problem::DivisionByZero),
        '/' => left / right,
        '%' => left % right,
        _ if left == 0.0 && right < 0.0 => return Err(Problem::DivisionByZero),
        _ => left.powf(right),
    };
    match value {
        _ if value.is_nan() => Err(Problem::Undefined),
        _ if value.is_infinite() => Err(Problem::TooLarge),
        _ => Ok(value),
    }
}

fn unexpected(expected: &'static str, token: Token<'_>) -> Error {
    let found = match token.kind {
        Kind::Number(number) => number.to_string(),
        Kind::Name(name) => format!("`{name}`"),
        Kind::Symbol(symbol) => format!("`{symbol}`"),
        Kind::End => "the end".to_owned(),
    };
    Error { position: token.position, problem: Problem::Unexpected { expected, found } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values() {
        for (text, expected) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("2^3^2", 512.0),
            ("-2^2", -4.0),
            ("2^-1", 0.5),
            ("--3", 3.0),
            ("2 * -3", -6.0),
            ("-2 * 3 + 1", -5.0),
            ("7 % 4 * 2", 6.0),
            ("-7 % 4", -3.0),
            ("1.5e3 + .5", 1500.5),
            ("sqrt(16) + abs(-1)", 5.0),
            ("min(3, 1, 2) - max(4)", -3.0),
            ("round(2.5) + floor(-0.5) + ceil(0.1)", 3.0),
            ("ln(e) + log10(1000) + cos(0) + sin(0)", 5.0),
            ("2 * pi", std::f64::consts::TAU),
            (" \t 42\n", 42.0),
        ] {
            assert_eq!(evaluate(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        for (text, expected) in [
            ("", "At character 1: expected a number, a name, `-` or `(`, found the end."),
            ("1 +", "At character 4: expected a number, a name, `-` or `(`, found the end."),
            ("2 3", "At character 3: expected an operator, found 3."),
            ("2e", "At character 2: expected an operator, found `e`."),
            ("(1", "At character 3: expected `)`, found the end."),
            ("1 / (2 - 2)", "At character 3: division by zero."),
            ("5 % 0", "At character 3: division by zero."),
            ("0 ^ -1", "At character 3: division by zero."),
            ("(-8) ^ 0.5", "At character 6: the value is not defined, or no real number."),
            ("1 + sqrt(-1)", "At character 5: the value is not defined, or no real number."),
            ("ln(0)", "At character 1: the value is not defined, or no real number."),
            ("10 ^ 400", "At character 4: the value is too large."),
            ("1e999", "At character 1: the value is too large."),
            ("1.2.3", "At character 1: \"1.2.3\" is no number."),
            (
                "2 × 3",
                "At character 3: '×' cannot be used here, write + - * / % ^ ( ) , numbers and names.",
            ),
            ("sqrt 4", "At character 6: expected `(` after the function, found 4."),
            ("sqrt(1, 2)", "At character 1: the function takes 1 argument, not 2."),
        ] {
            assert_eq!(evaluate(text).unwrap_err().to_string(), expected, "{text}");
        }
        let unknown = evaluate("tan(1)").unwrap_err().to_string();
        assert!(unknown.contains("\"tan\" is unknown, the known names are pi"), "{unknown}");
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let problem = |text: &str| evaluate(text).unwrap_err().problem;
        let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(evaluate(&nested(63)), Ok(1.0));
        assert_eq!(problem(&nested(64)), Problem::TooDeep);
        assert_eq!(problem(&"-".repeat(900)), Problem::TooDeep);
        assert_eq!(problem(&"2^".repeat(400)), Problem::TooDeep);
        assert_eq!(problem(&" ".repeat(1001)), Problem::TooLong);
        assert_eq!(evaluate(&format!("1{}", "+1".repeat(499))), Ok(500.0));
    }

    proptest! {
        #[test]
        fn any_text_has_a_finite_value_or_an_error(text in "[-+*/%^(),. 0-9a-ez×]{0,40}") {
            if let Ok(value) = evaluate(&text) {
                prop_assert!(value.is_finite());
            }
        }

        #[test]
        fn sums_are_what_they_are(numbers in prop::collection::vec(-1e6f64..1e6, 1..20)) {
            let text: Vec<_> = numbers.iter().map(|number| format!("({number})")).collect();
            let sum = numbers.iter().copied().reduce(|sum, number| sum + number).unwrap();
            prop_assert_eq!(evaluate(&text.join("+")), Ok(sum));
        }
    }
}
