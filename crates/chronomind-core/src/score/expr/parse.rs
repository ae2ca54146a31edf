//! Text as expressions: precedence climbing (Richards and Whitby-Strevens, BCPL, 1979).
//!
//! The text comes out of a plan and so, in the end, from a user: whatever it says, reading it ends
//! soon, in an expression or in an error that names the place, and what is read is small enough to
//! be walked by recursion.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use super::print::{Level, POWER, RESERVED};
use super::{Binary, BlendExpr, Expr, Unary, Variadic};

/// How deep parentheses, calls and signs may be nested.
const MAX_NESTING: usize = 100;
/// How many functions, attributes and constants there may be, and so how high the tree.
const MAX_NODES: usize = 1_000;

/// A text that is no expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The byte at which the reader gave up.
    pub at: usize,
    /// What it found or missed.
    pub what: String,
}

impl Display for ParseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at byte {} of the score", self.what, self.at)
    }
}

impl std::error::Error for ParseError {}

type Result<T> = std::result::Result<T, ParseError>;

impl FromStr for Expr {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Expr> {
        let mut parser = Parser {
            text,
            at: 0,
            token: Token::End,
            start: 0,
            nesting: 0,
            nodes: 0,
        };
        parser.advance()?;
        let expr = parser.expression(Level::Or)?;
        match parser.token {
            Token::End => Ok(expr),
            _ => Err(parser.unexpected()),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Parameter(u32),
    /// A word without quotes, in lower case.
    Word(String),
    Quoted(String),
    Symbol(&'static str),
    End,
}

impl Token {
    fn is_word(&self, expected: &str) -> bool {
        matches!(self, Token::Word(word) if word == expected)
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Where the next token begins, or the blanks before it.
    at: usize,
    /// The token that is to be understood, and where it begins.
    token: Token,
    start: usize,
    nesting: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn error<T>(&self, what: impl Into<String>) -> Result<T> {
        Err(ParseError {
            at: self.start,
            what: what.into(),
        })
    }

    fn unexpected(&self) -> ParseError {
        let what = match &self.token {
            Token::End => "unexpected end".to_string(),
            _ => format!("unexpected {:?}", &self.text[self.start..self.at]),
        };
        ParseError {
            at: self.start,
            what,
        }
    }

    /// The bytes from the current position that pass.
    fn take_while(&mut self, passes: impl Fn(u8) -> bool) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|&&byte| passes(byte)).count();
    }

    /// Reads the next token and returns the one before.
    fn advance(&mut self) -> Result<Token> {
        self.take_while(|byte| byte.is_ascii_whitespace());
        self.start = self.at;
        let rest = &self.text[self.at..];
        let next = match rest.bytes().next() {
            None => Token::End,
            Some(b'0'..=b'9' | b'.') => self.number()?,
            Some(b'$') => {
                self.at += 1;
                self.take_while(|byte| byte.is_ascii_digit());
                match self.text[self.start + 1..self.at].parse() {
                    Ok(number @ 1..) => Token::Parameter(number),
                    _ => return self.error("no such parameter"),
                }
            }
            Some(b'"') => self.quoted()?,
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Token::Word(self.text[self.start..self.at].to_ascii_lowercase())
            }
            Some(_) => {
                // Longer symbols first.
                let symbols = [
                    "<>", "<=", ">=", "<", ">", "=", "+", "-", "*", "/", "(", ")", ",",
                ];
                let Some(symbol) = symbols.into_iter().find(|symbol| rest.starts_with(symbol))
                else {
                    return self.error("unknown symbol");
                };
                self.at += symbol.len();
                Token::Symbol(symbol)
            }
        };
        Ok(std::mem::replace(&mut self.token, next))
    }

    fn number(&mut self) -> Result<Token> {
        self.take_while(|byte| byte.is_ascii_digit() || byte == b'.');
        if self.text[self.at..].starts_with(['e', 'E']) {
            self.at += 1;
            if self.text[self.at..].starts_with(['+', '-']) {
                self.at += 1;
            }
            self.take_while(|byte| byte.is_ascii_digit());
        }
        match self.text[self.start..self.at].parse() {
            Ok(number) => Ok(Token::Number(number)),
            Err(_) => self.error("malformed number"),
        }
    }

    /// An identifier in quotes, which are doubled inside.
    fn quoted(&mut self) -> Result<Token> {
        let mut name = String::new();
        loop {
            self.at += 1;
            let rest = &self.text[self.at..];
            let Some(length) = rest.find('"') else {
                return self.error("unterminated name");
            };
            name.push_str(&rest[..length]);
            self.at += length + 1;
            if !self.text[self.at..].starts_with('"') {
                return Ok(Token::Quoted(name));
            }
            name.push('"');
        }
    }

    fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    fn expect(&mut self, symbol: &str) -> Result<()> {
        if !self.is(symbol) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    fn expect_word(&mut self, word: &str) -> Result<()> {
        if !self.token.is_word(word) {
            return Err(self.unexpected());
        }
        self.advance().map(drop)
    }

    /// Counts a node of the tree.
    fn node(&mut self, expr: Expr) -> Result<Expr> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.error("too many terms");
        }
        Ok(expr)
    }

    /// The function that is written like the token.
    fn infix(&self) -> Option<(Binary, Level)> {
        let sign = match &self.token {
            Token::Symbol(symbol) => *symbol,
            Token::Word(word) if word == "and" => "AND",
            Token::Word(word) if word == "or" => "OR",
            _ => return None,
        };
        let mut infix = Binary::INFIX.iter();
        infix
            .find(|(listed, ..)| *listed == sign)
            .map(|&(_, function, level)| (function, level))
    }

    /// An expression that holds together at least as tightly as that.
    fn expression(&mut self, loosest: Level) -> Result<Expr> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return self.error("too deeply nested");
        }
        let mut left = self.prefix(loosest)?;
        let mut compared = false;
        loop {
            if self.token.is_word("is") && Level::Is >= loosest {
                self.advance()?;
                self.expect_word("null")?;
                left = self.node(Expr::unary(Unary::IsNull, left))?;
                continue;
            }
            let Some((function, level)) = self.infix().filter(|(_, level)| *level >= loosest)
            else {
                break;
            };
            if level == Level::Comparison && std::mem::replace(&mut compared, true) {
                return Err(self.unexpected());
            }
            self.advance()?;
            let right = self.expression(level.tighter())?;
            left = self.node(Expr::binary(function, left, right))?;
        }
        self.nesting -= 1;
        Ok(left)
    }

    /// What begins an expression.
    fn prefix(&mut self, loosest: Level) -> Result<Expr> {
        if self.token.is_word("not") && loosest <= Level::Not {
            self.advance()?;
            let argument = self.expression(Level::Not)?;
            return self.node(Expr::unary(Unary::Not, argument));
        }
        if self.is("-") {
            self.advance()?;
            let number = match &self.token {
                Token::Number(number) => Some(*number),
                token if token.is_word("infinity") => Some(f64::INFINITY),
                _ => None,
            };
            if let Some(number) = number {
                self.advance()?;
                return self.node(Expr::Constant(-number));
            }
            let argument = self.expression(Level::Sign)?;
            return self.node(Expr::unary(Unary::Negate, argument));
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Expr> {
        let start = self.start;
        let unexpected = self.unexpected();
        match self.advance()? {
            Token::Number(number) => self.node(Expr::Constant(number)),
            Token::Parameter(number) => self.node(Expr::Parameter(number)),
            Token::Quoted(name) => self.node(Expr::Attribute(name)),
            Token::Symbol("(") => {
                let inner = self.expression(Level::Or)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Word(word) if self.is("(") => {
                let call = self.call(&word, start)?;
                self.node(call)
            }
            Token::Word(word) => match word.as_str() {
                "case" => self.case(),
                "distance" => self.node(Expr::Distance),
                "null" => self.node(Expr::Null),
                "nan" => self.node(Expr::Constant(f64::NAN)),
                "infinity" => self.node(Expr::Constant(f64::INFINITY)),
                word if RESERVED.contains(&word) => Err(unexpected),
                _ => self.node(Expr::Attribute(word)),
            },
            Token::Symbol(_) | Token::End => Err(unexpected),
        }
    }

    fn call(&mut self, name: &str, at: usize) -> Result<Expr> {
        self.expect("(")?;
        let mut arguments = vec![self.expression(Level::Or)?];
        while self.is(",") {
            self.advance()?;
            arguments.push(self.expression(Level::Or)?);
        }
        self.expect(")")?;
        fn find<F: Copy>(calls: &[(&str, F)], name: &str) -> Option<F> {
            let call = calls.iter().find(|(listed, _)| *listed == name);
            call.map(|(_, function)| *function)
        }
        if let Some(function) = find(&Variadic::CALLS, name) {
            return Ok(Expr::Variadic(function, arguments));
        }
        let wrong = ParseError {
            at,
            what: format!("no function {name:?} of so many arguments"),
        };
        let mut arguments = arguments.into_iter();
        let mut next = || arguments.next().ok_or_else(|| wrong.clone());
        let call = if let Some(function) = find(&Unary::CALLS, name) {
            Expr::unary(function, next()?)
        } else if name == POWER {
            Expr::binary(Binary::Power, next()?, next()?)
        } else if name == BlendExpr::NAME {
            Expr::Blend(Box::new(BlendExpr {
                distance: next()?,
                created_at: next()?,
                importance: next()?,
                decay_rate: next()?,
                recency_weight: next()?,
                importance_weight: next()?,
                as_of: next()?,
                base_rate: next()?,
            }))
        } else {
            return Err(wrong);
        };
        match next() {
            Ok(_) => Err(wrong),
            Err(_) => Ok(call),
        }
    }

    fn case(&mut self) -> Result<Expr> {
        let mut branches = Vec::new();
        while self.token.is_word("when") {
            self.advance()?;
            let condition = self.expression(Level::Or)?;
            self.expect_word("then")?;
            branches.push((condition, self.expression(Level::Or)?));
        }
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        self.expect_word("else")?;
        let otherwise = Box::new(self.expression(Level::Or)?);
        self.expect_word("end")?;
        self.node(Expr::Case {
            branches,
            otherwise,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::expr::arbitrary::expr;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Expr> {
        text.parse()
    }

    #[test]
    fn precedence_is_that_of_sql() {
        let same = |a: &str, b: &str| assert_eq!(parse(a).unwrap(), parse(b).unwrap(), "{a}");
        same("a + b * c - d", "(a + (b * c)) - d");
        same("NOT a = b AND c OR d", "((NOT (a = b)) AND c) OR d");
        same("a - -1 - -b", "(a - (-1)) - (-(b))");
        same("A + b IS NULL", "(a + b) IS NULL");
        same("a<b IS NULL", "(a < b) IS NULL");
        same(
            "case when a then b else c end*2",
            "(CASE WHEN a THEN b ELSE c END) * 2",
        );
        assert_eq!(parse("-2").unwrap(), Expr::Constant(-2.0));
        assert_eq!(parse("-(2)").unwrap(), -Expr::Constant(2.0));
    }

    #[test]
    fn errors_name_the_place() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(error("1 + "), "unexpected end at byte 4 of the score");
        assert_eq!(
            error("a < b < c"),
            "unexpected \"<\" at byte 6 of the score"
        );
        assert_eq!(error("a ^ 2"), "unknown symbol at byte 2 of the score");
        assert_eq!(
            error("1 + NOT a"),
            "unexpected \"NOT\" at byte 4 of the score"
        );
        assert_eq!(error("$0"), "no such parameter at byte 0 of the score");
        assert_eq!(error("1.2.3"), "malformed number at byte 0 of the score");
        assert_eq!(error("\"a"), "unterminated name at byte 0 of the score");
        assert_eq!(
            error("1 + exp(a, b)"),
            "no function \"exp\" of so many arguments at byte 4 of the score"
        );
        for text in [
            "least()",
            "case else 1 end",
            "then",
            "(a",
            "a)",
            "is null",
            "",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn size_is_bounded() {
        let deep = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
        assert!(parse(&deep(MAX_NESTING - 1)).is_ok());
        assert!(parse(&deep(MAX_NESTING)).is_err());
        assert!(parse(&"-".repeat(1_000_000)).is_err());
        assert!(parse(&"not ".repeat(1_000_000)).is_err());
        let long = |terms: usize| vec!["1"; terms].join("+");
        let sum = parse(&long(MAX_NODES / 2)).unwrap();
        assert_eq!(sum.to_string().parse(), Ok(sum));
        assert!(parse(&long(MAX_NODES)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_printed_reads_back(expr in expr()) {
            let text = expr.to_string();
            // As text, for NaN is not equal to itself.
            let again = parse(&text).map(|again| format!("{again:?}"));
            prop_assert_eq!(again, Ok(format!("{expr:?}")), "{}", text);
        }

        #[test]
        fn any_text_is_an_expression_or_an_error(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn any_tokens_are_an_expression_or_an_error(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "1", "-", "+", "*", "<", "=", "(", ")", ",", "$1", "a", "\"b\"", "distance",
                    "exp(", "least(", "power(", "case", "when", "then", "else", "end", "not", "is",
                    "null", "and", "or", "nan", "infinity", "1e5", ".", "é", "\"",
                ]),
                0..20,
            ),
        ) {
            if let Ok(expr) = parse(&tokens.join(" ")) {
                prop_assert_eq!(format!("{:?}", parse(&expr.to_string())), format!("{:?}", Ok::<_, ParseError>(expr)));
            }
        }
    }
}
