//! What an index is asked for, as text: on its way from the planner to the scan, and for whoever
//! reads a plan.
//!
//! ```text
//! (1 - distance) * $1 + exp(-(($2 - created_at) / 3600000000)) DESC WHERE 1 - distance >= $3 LIMIT 10
//! ```
//!
//! `DESC`, `NULLS FIRST` and `NULLS LAST` are what they are in SQL. `WHERE` may let rows pass that the statement does not: Postgres looks again. `LIMIT` is
//! how many rows are expected to be asked for; there are more.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use chronomind_core::score::Expr;

use crate::error::{Error, Result};

/// What an index is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryText {
    /// What rows are ordered by.
    pub score: Expr,
    /// Greatest first.
    pub descending: bool,
    /// NULLs before all others.
    pub nulls_first: bool,
    /// What no wanted row lacks.
    pub predicate: Option<Expr>,
    /// Rows that will probably be asked for.
    pub wanted: Option<Expr>,
}

const DESCENDING: &str = " DESC";
const NULLS_FIRST: &str = " NULLS FIRST";
const NULLS_LAST: &str = " NULLS LAST";
const WHERE: &str = " WHERE ";
const LIMIT: &str = " LIMIT ";

impl Display for QueryText {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.score)?;
        if self.descending {
            f.write_str(DESCENDING)?;
        }
        // Descending, NULL is the greatest unless something else is said.
        match (self.descending, self.nulls_first) {
            (false, true) => f.write_str(NULLS_FIRST)?,
            (true, false) => f.write_str(NULLS_LAST)?,
            _ => {}
        }
        if let Some(predicate) = &self.predicate {
            write!(f, "{WHERE}{predicate}")?;
        }
        if let Some(wanted) = &self.wanted {
            write!(f, "{LIMIT}{wanted}")?;
        }
        Ok(())
    }
}

impl FromStr for QueryText {
    type Err = Error;

    fn from_str(text: &str) -> Result<QueryText> {
        let (text, wanted) = split(text, LIMIT);
        let (text, predicate) = split(text, WHERE);
        let (text, first) = strip(text, NULLS_FIRST);
        let (text, last) = strip(text, NULLS_LAST);
        let (text, descending) = strip(text, DESCENDING);
        Ok(QueryText {
            score: parse(text)?,
            descending,
            nulls_first: first || descending && !last,
            predicate: predicate.map(parse).transpose()?,
            wanted: wanted.map(parse).transpose()?,
        })
    }
}

/// The text before a word and that behind it. The word is looked for outside of quoted names; all
/// that expressions write without quotes is in lower case, or is another word.
fn split<'a>(text: &'a str, word: &str) -> (&'a str, Option<&'a str>) {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        quoted ^= byte == b'"';
        if !quoted && byte == b' ' && text[at..].starts_with(word) {
            return (&text[..at], Some(&text[at + word.len()..]));
        }
    }
    (text, None)
}

fn strip<'a>(text: &'a str, word: &str) -> (&'a str, bool) {
    text.strip_suffix(word)
        .map_or((text, false), |text| (text, true))
}

fn parse(text: &str) -> Result<Expr> {
    /// Of a long text, the beginning says which one it is.
    const SHOWN: usize = 200;
    text.parse().map_err(|error| {
        let beginning: String = text.chars().take(SHOWN).collect();
        Error::invalid(format!("invalid score expression: {error}"))
            .detail(format!("It is: {beginning}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chronomind_core::score::Unary;

    #[test]
    fn reads_what_it_writes() {
        let score = Expr::unary(Unary::Exp, -Expr::attribute("odd \" WHERE name DESC"));
        for number in 0..16 {
            let bit = |bit: u32| number >> bit & 1 != 0;
            let text = QueryText {
                score: score.clone() + Expr::Distance,
                descending: bit(0),
                nulls_first: bit(1),
                predicate: bit(2).then(|| Expr::Distance - 0.5),
                wanted: bit(3).then(|| Expr::Parameter(3) + 7.0),
            };
            assert_eq!(text.to_string().parse::<QueryText>().ok(), Some(text));
        }
    }

    #[test]
    fn nonsense_is_told() {
        assert!("distance DESC DESC".parse::<QueryText>().is_err());
        assert!("".parse::<QueryText>().is_err());
    }
}
