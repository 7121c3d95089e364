//! The tokens of an expression.

use super::expression::{Error, Problem};

/// A token and where it begins: the number of its first character, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) position: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    Number(f64),
    Name(&'a str),
    /// One of `+ - * / % ^ ( ) ,`.
    Symbol(char),
    End,
}

/// Reads tokens off a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, position: 1 }
    }

    /// The next token, which stays where it is.
    pub(super) fn peek(&self) -> Result<Token<'a>, Error> {
        self.clone().next()
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, Error> {
        self.take(self.length_while(char::is_whitespace));
        let position = self.position;
        let kind = match self.rest.chars().next() {
            None => Kind::End,
            Some('0'..='9' | '.') => {
                let digits = self.take(self.number_length());
                let malformed = Error { position, problem: Problem::Number(digits.to_owned()) };
                let number: f64 = digits.parse().map_err(|_| malformed)?;
                if number.is_infinite() {
                    return Err(Error { position, problem: Problem::TooLarge });
                }
                Kind::Number(number)
            }
            Some(letter) if letter.is_ascii_alphabetic() => {
                Kind::Name(self.take(self.length_while(|c| c.is_ascii_alphanumeric() || c == '_')))
            }
            Some(symbol) if "+-*/%^(),".contains(symbol) => {
                self.take(symbol.len_utf8());
                Kind::Symbol(symbol)
            }
            Some(other) => {
                return Err(Error { position, problem: Problem::Character(other) });
            }
        };
        Ok(Token { kind, position })
    }

    /// Digits, a fraction and an exponent: `12`, `.5`, `1.5e-3`.
    fn number_length(&self) -> usize {
        let mut length = self.length_while(|c| c.is_ascii_digit() || c == '.');
        if let Some(exponent) = self.rest[length..].strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let count = digits.bytes().take_while(u8::is_ascii_digit).count();
            // Without digits it is no exponent, and the constant `e` cannot follow a number.
            if count > 0 {
                length += 1 + (exponent.len() - digits.len()) + count;
            }
        }
        length
    }

    fn length_while(&self, belongs: impl Fn(char) -> bool) -> usize {
        self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len())
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.position += taken.chars().count();
        taken
    }
}
