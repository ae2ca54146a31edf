//! Which way a score goes when the distance grows.
//!
//! Where rows are wanted in the direction of growing distance, the near ones come early, and a
//! search sees few others. And a condition that prefers small distances is made generous by taking
//! a little off the distance.

use chronomind_core::score::{Binary, Expr, Unary};

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Nowhere: it does not depend on the distance.
    Level,
    /// Up, or it stays.
    Rises,
    /// Down, or it stays.
    Falls,
    /// One of these two ways, which depends on the row.
    Either,
    /// Who knows: up and then down, for example.
    Unknown,
}

/// What is taken for granted about values that are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: the answer is right whatever they are.
    Nothing,
    /// Weights, half-lives, importances and the like are positive: good enough for an estimate.
    Positive,
}

use Direction::{Either, Falls, Level, Rises, Unknown};

impl Direction {
    fn flipped(self) -> Direction {
        match self {
            Rises => Falls,
            Falls => Rises,
            same => same,
        }
    }

    fn and(self, other: Direction) -> Direction {
        match (self, other) {
            (Level, one) | (one, Level) => one,
            (Rises, Rises) => Rises,
            (Falls, Falls) => Falls,
            _ => Unknown,
        }
    }

    /// The direction of a product with a factor that does not depend on the distance.
    fn times(self, is_positive: Option<bool>) -> Direction {
        match is_positive {
            _ if self == Level => Level,
            Some(true) => self,
            Some(false) => self.flipped(),
            None if self == Unknown => Unknown,
            None => Either,
        }
    }
}

/// Which way an expression goes when the distance grows. False is below true.
pub fn direction(expr: &Expr, trust: Trust) -> Direction {
    let of = |expr: &Expr| direction(expr, trust);
    match expr {
        Expr::Constant(_) | Expr::Null | Expr::Parameter(_) | Expr::Attribute(_) => Level,
        Expr::Distance => Rises,
        Expr::Unary(Unary::Negate | Unary::Not, argument) => of(argument).flipped(),
        Expr::Unary(Unary::Abs, argument) => match of(argument) {
            Level => Level,
            _ => Unknown,
        },
        Expr::Unary(Unary::IsNull, argument) if is_null_by_the_row(argument) => Level,
        Expr::Unary(Unary::IsNull, _) => Unknown,
        // Below zero they are NaN, which is greater than all they are above.
        Expr::Unary(Unary::Sqrt | Unary::Ln | Unary::Log10, argument) => match of(argument) {
            Level => Level,
            _ if trust == Trust::Nothing => Unknown,
            direction => direction,
        },
        Expr::Unary(_, argument) => of(argument),
        Expr::Binary(function, left, right) => binary(*function, left, right, trust),
        Expr::Variadic(_, arguments) => arguments.iter().map(of).fold(Level, Direction::and),
        Expr::Case {
            branches,
            otherwise,
        } => {
            let values = branches.iter().map(|(_, value)| of(value));
            let depends = branches.iter().any(|(condition, _)| of(condition) != Level);
            match values.fold(of(otherwise), Direction::and) {
                _ if depends && trust == Trust::Nothing => Unknown,
                direction => direction,
            }
        }
        // Weights are never negative.
        Expr::Blend(blend) => {
            let others = [&blend.created_at, &blend.importance, &blend.decay_rate];
            match others.into_iter().all(|other| of(other) == Level) {
                true => of(&blend.distance),
                false => Unknown,
            }
        }
    }
}

fn binary(function: Binary, left: &Expr, right: &Expr, trust: Trust) -> Direction {
    let (from_left, from_right) = (direction(left, trust), direction(right, trust));
    let trusted = |direction| match trust {
        Trust::Nothing => Unknown,
        Trust::Positive => direction,
    };
    match function {
        Binary::Add | Binary::And | Binary::Or => from_left.and(from_right),
        Binary::Subtract | Binary::Greater | Binary::GreaterEqual => {
            from_left.and(from_right.flipped())
        }
        Binary::Less | Binary::LessEqual => from_left.flipped().and(from_right),
        Binary::Multiply if from_right == Level => from_left.times(is_positive(right, trust)),
        Binary::Multiply if from_left == Level => from_right.times(is_positive(left, trust)),
        Binary::Multiply => trusted(from_left.and(from_right)),
        Binary::Divide if from_right == Level => from_left.times(is_positive(right, trust)),
        Binary::Divide => {
            trusted(from_left.and(from_right.flipped().times(is_positive(left, trust))))
        }
        Binary::Power if from_left == Level && from_right == Level => Level,
        // A base below 1 is a decay.
        Binary::Power if from_left == Level => {
            let decays = matches!(left, Expr::Constant(base) if *base < 1.0);
            trusted(from_right.times(Some(!decays)))
        }
        Binary::Power => trusted(from_left.times(is_positive(right, trust)).and(from_right)),
        Binary::Equal | Binary::NotEqual => match from_left.and(from_right) {
            Level => Level,
            _ => Unknown,
        },
    }
}

/// True where a value is NULL for all distances of a row, or for none of them.
fn is_null_by_the_row(expr: &Expr) -> bool {
    let by_the_row = is_null_by_the_row;
    match expr {
        _ if direction(expr, Trust::Nothing) == Level => true,
        Expr::Distance => true,
        Expr::Unary(_, argument) => by_the_row(argument),
        // False, whatever the other
        Expr::Binary(Binary::And | Binary::Or, ..) => false,
        Expr::Binary(_, left, right) => by_the_row(left) && by_the_row(right),
        Expr::Variadic(_, arguments) => arguments.iter().all(by_the_row),
        _ => false,
    }
}

/// Whether a value that does not depend on the distance is above or below zero.
fn is_positive(expr: &Expr, trust: Trust) -> Option<bool> {
    let of = |expr: &Expr| is_positive(expr, trust);
    match expr {
        Expr::Constant(value) if value.is_nan() => None,
        Expr::Constant(value) => Some(*value >= 0.0),
        Expr::Unary(Unary::Negate, argument) => of(argument).map(|positive| !positive),
        Expr::Unary(Unary::Exp | Unary::Sqrt | Unary::Abs, _) => Some(true),
        Expr::Binary(Binary::Multiply | Binary::Divide, left, right) => {
            Some(of(left)? == of(right)?)
        }
        Expr::Binary(Binary::Add, left, right) => of(left).filter(|sign| of(right) == Some(*sign)),
        _ => (trust == Trust::Positive).then_some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, trust: Trust) -> Direction {
        direction(&text.parse().unwrap(), trust)
    }

    #[test]
    fn what_is_certain() {
        let certain = |text| of(text, Trust::Nothing);
        assert_eq!(certain("importance * 2"), Level);
        assert_eq!(certain("distance"), Rises);
        assert_eq!(certain("1 - distance"), Falls);
        assert_eq!(certain("1 - distance >= 0.7"), Falls);
        assert_eq!(certain("(distance - $1) * -2"), Falls);
        assert_eq!(certain("distance * $1"), Either);
        assert_eq!(certain("-(distance * $1) < importance"), Either);
        assert_eq!(certain("distance * $1 + distance"), Unknown);
        assert_eq!(certain("distance * $1 - distance * $2"), Unknown);
        assert_eq!(certain("abs(distance) * $1"), Unknown);
        assert_eq!(certain("sqrt(distance)"), Unknown);
        assert_eq!(certain("distance = 0.5"), Unknown);
        assert_eq!(certain("distance * exp(importance)"), Rises);
        assert_eq!(certain("abs(distance)"), Unknown);
        assert_eq!(certain("distance - distance"), Unknown);
        assert_eq!(certain("distance IS NULL"), Level);
        assert_eq!(certain("NOT 1 - distance * importance IS NULL"), Level);
        assert_eq!(
            certain("CASE WHEN distance < 1 THEN 1 ELSE NULL END IS NULL"),
            Unknown
        );
        assert_eq!(
            certain("(distance < 1 AND importance > 1) IS NULL"),
            Unknown
        );
        assert_eq!(certain("distance < 0.3 OR importance > 0.5"), Falls);
        assert_eq!(
            certain("CASE WHEN distance < $1 THEN 1 ELSE 0 END"),
            Unknown
        );
    }

    #[test]
    fn what_is_likely() {
        let likely = |text| of(text, Trust::Positive);
        assert_eq!(likely("$1 * (1 - distance) + exp(-age / $2)"), Falls);
        assert_eq!(likely("(1 - distance) * power(0.5, age / $1)"), Falls);
        assert_eq!(likely("1 / (1 + distance)"), Falls);
        assert_eq!(likely("power(0.5, distance)"), Falls);
        assert_eq!(likely("(1 - distance) * -importance"), Rises);
        assert_eq!(
            likely("chrono_score(distance, at, 1, NULL, $1, $2, $3, $4)"),
            Rises
        );
    }
}
