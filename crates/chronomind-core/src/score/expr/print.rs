//! Expressions as text that a person can read, with no more parentheses than it takes.

use std::fmt::{Display, Formatter, Result};

use super::{Binary, BlendExpr, Expr, Unary, Variadic};

/// How tightly an expression holds together when it is written. Parentheses go around whatever
/// holds less tightly than its place demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Or,
    And,
    Not,
    Is,
    Comparison,
    Sum,
    Product,
    Sign,
    Atom,
}

impl Level {
    /// The next tighter level.
    pub(super) fn tighter(self) -> Level {
        match self {
            Level::Or => Level::And,
            Level::And => Level::Not,
            Level::Not => Level::Is,
            Level::Is => Level::Comparison,
            Level::Comparison => Level::Sum,
            Level::Sum => Level::Product,
            Level::Product => Level::Sign,
            Level::Sign | Level::Atom => Level::Atom,
        }
    }
}

/// Words that are not the names of attributes unless they are quoted.
pub(super) const RESERVED: [&str; 13] = [
    "and", "case", "distance", "else", "end", "infinity", "is", "nan", "not", "null", "or", "then",
    "when",
];

/// [`Binary::Power`] as a call.
pub(super) const POWER: &str = "power";

impl Unary {
    /// Those that are written as calls, by name.
    pub(super) const CALLS: [(&str, Unary); 10] = [
        ("exp", Unary::Exp),
        ("ln", Unary::Ln),
        ("log10", Unary::Log10),
        ("sqrt", Unary::Sqrt),
        ("abs", Unary::Abs),
        ("floor", Unary::Floor),
        ("ceil", Unary::Ceil),
        ("round", Unary::Round),
        ("trunc", Unary::Trunc),
        ("float4", Unary::Float4),
    ];
}

impl Binary {
    /// The functions that are written between their arguments.
    pub(super) const INFIX: [(&str, Binary, Level); 12] = [
        ("+", Binary::Add, Level::Sum),
        ("-", Binary::Subtract, Level::Sum),
        ("*", Binary::Multiply, Level::Product),
        ("/", Binary::Divide, Level::Product),
        ("=", Binary::Equal, Level::Comparison),
        ("<>", Binary::NotEqual, Level::Comparison),
        ("<", Binary::Less, Level::Comparison),
        ("<=", Binary::LessEqual, Level::Comparison),
        (">", Binary::Greater, Level::Comparison),
        (">=", Binary::GreaterEqual, Level::Comparison),
        ("AND", Binary::And, Level::And),
        ("OR", Binary::Or, Level::Or),
    ];

    fn infix(self) -> Option<(&'static str, Level)> {
        let mut infix = Binary::INFIX.iter();
        infix
            .find(|(_, function, _)| *function == self)
            .map(|&(sign, _, level)| (sign, level))
    }
}

impl Variadic {
    /// All of them, by name.
    pub(super) const CALLS: [(&str, Variadic); 3] = [
        ("least", Variadic::Least),
        ("greatest", Variadic::Greatest),
        ("coalesce", Variadic::Coalesce),
    ];
}

/// The name of a function in a table of them.
fn name<F: PartialEq>(calls: &[(&'static str, F)], function: &F) -> &'static str {
    let call = calls.iter().find(|(_, listed)| listed == function);
    call.map_or("", |(name, _)| name)
}

fn level(expr: &Expr) -> Level {
    match expr {
        Expr::Constant(value) if value.is_sign_negative() && !value.is_nan() => Level::Sign,
        Expr::Unary(Unary::Negate, _) => Level::Sign,
        Expr::Unary(Unary::Not, _) => Level::Not,
        Expr::Unary(Unary::IsNull, _) => Level::Is,
        Expr::Binary(function, ..) => function.infix().map_or(Level::Atom, |(_, level)| level),
        _ => Level::Atom,
    }
}

/// Writes an expression where one of at least that level is expected.
fn write(expr: &Expr, expected: Level, f: &mut Formatter<'_>) -> Result {
    if level(expr) < expected {
        write!(f, "({expr})")
    } else {
        write!(f, "{expr}")
    }
}

fn write_call<'a>(
    name: &str,
    arguments: impl IntoIterator<Item = &'a Expr>,
    f: &mut Formatter<'_>,
) -> Result {
    write!(f, "{name}(")?;
    for (number, argument) in arguments.into_iter().enumerate() {
        if number > 0 {
            f.write_str(", ")?;
        }
        write!(f, "{argument}")?;
    }
    f.write_str(")")
}

/// In decimals where that is short. Either form reads back as the same number.
fn write_number(value: f64, f: &mut Formatter<'_>) -> Result {
    let size = value.abs();
    if value.is_nan() {
        f.write_str("NaN")
    } else if value.is_infinite() {
        f.write_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else if size != 0.0 && !(1e-5..1e16).contains(&size) {
        write!(f, "{value:e}")
    } else {
        write!(f, "{value}")
    }
}

/// As an identifier of SQL, in quotes where it takes them.
fn write_name(name: &str, f: &mut Formatter<'_>) -> Result {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&name);
    if plain {
        f.write_str(name)
    } else {
        write!(f, "\"{}\"", name.replace('"', "\"\""))
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Expr::Constant(value) => write_number(*value, f),
            Expr::Null => f.write_str("NULL"),
            Expr::Parameter(number) => write!(f, "${number}"),
            Expr::Distance => f.write_str("distance"),
            Expr::Attribute(name) => write_name(name, f),
            Expr::Unary(Unary::Negate, argument) => {
                f.write_str("-")?;
                match **argument {
                    // A minus in front of digits belongs to the number.
                    Expr::Constant(_) => write!(f, "({argument})"),
                    _ => write(argument, Level::Atom, f),
                }
            }
            Expr::Unary(Unary::Not, argument) => {
                f.write_str("NOT ")?;
                write(argument, Level::Not, f)
            }
            Expr::Unary(Unary::IsNull, argument) => {
                write(argument, Level::Is, f)?;
                f.write_str(" IS NULL")
            }
            Expr::Unary(function, argument) => {
                write_call(name(&Unary::CALLS, function), [&**argument], f)
            }
            Expr::Binary(function, left, right) => {
                let Some((sign, level)) = function.infix() else {
                    return write_call(POWER, [&**left, &**right], f);
                };
                // Comparisons cannot be chained; the others associate to the left.
                let associates = level != Level::Comparison;
                write(left, if associates { level } else { level.tighter() }, f)?;
                write!(f, " {sign} ")?;
                write(right, level.tighter(), f)
            }
            Expr::Variadic(function, arguments) => {
                write_call(name(&Variadic::CALLS, function), arguments, f)
            }
            Expr::Case {
                branches,
                otherwise,
            } => {
                f.write_str("CASE")?;
                for (condition, value) in branches {
                    write!(f, " WHEN {condition} THEN {value}")?;
                }
                write!(f, " ELSE {otherwise} END")
            }
            Expr::Blend(blend) => write_call(BlendExpr::NAME, blend.arguments(), f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_sql() {
        let age = (Expr::Parameter(2) - Expr::attribute("created_at")) / 3.6e9;
        let decay = Expr::unary(Unary::Exp, -age / Expr::Parameter(3));
        let score = (Expr::from(1.0) - Expr::Distance) * Expr::Parameter(1) + decay * 0.25;
        assert_eq!(
            score.to_string(),
            "(1 - distance) * $1 + exp(-(($2 - created_at) / 3600000000) / $3) * 0.25"
        );
        let boost = Expr::case(
            [(
                Expr::binary(Binary::Equal, Expr::attribute("Kind"), Expr::Parameter(1)),
                Expr::from(-1e-9),
            )],
            Expr::variadic(Variadic::Coalesce, [Expr::attribute("end"), Expr::Null]),
        );
        assert_eq!(
            boost.to_string(),
            "CASE WHEN \"Kind\" = $1 THEN -1e-9 ELSE coalesce(\"end\", NULL) END"
        );
    }
}
