//! Expressions of every kind, for property tests.

use proptest::prelude::*;

use super::{Binary, BlendExpr, Expr, Unary, Variadic};

/// Numbers of ordinary size and the others.
pub(crate) fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -4.0..4.0_f64,
        3 => (-3..4_i32).prop_map(f64::from),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![
            0.0, -0.0, 0.5, 1e-9, 1e300, -1e300, 5e-324, f64::MAX, f64::MIN, 3.6e9,
            f64::INFINITY, f64::NEG_INFINITY, f64::NAN,
        ]),
    ]
}

/// Attributes that the tests of the program know, hashed ones aside.
pub(crate) const NUMBERS: [&str; 4] = ["rank", "day", "created_at", "Importance \"é"];

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        3 => number().prop_map(Expr::Constant),
        1 => Just(Expr::Null),
        2 => (1..4_u32).prop_map(Expr::Parameter),
        4 => Just(Expr::Distance),
        6 => prop::sample::select(NUMBERS.to_vec()).prop_map(Expr::attribute),
        1 => Just(Expr::unary(Unary::IsNull, Expr::attribute("label"))),
        1 => prop::sample::select(vec![Binary::Equal, Binary::NotEqual]).prop_map(|function| {
            Expr::binary(function, Expr::attribute("label"), Expr::Parameter(4))
        }),
    ]
}

/// Expressions that are not too deep.
pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 40, 4, |inner| {
        let unary = prop::sample::select(vec![
            Unary::Negate,
            Unary::Exp,
            Unary::Ln,
            Unary::Log10,
            Unary::Sqrt,
            Unary::Abs,
            Unary::Floor,
            Unary::Ceil,
            Unary::Round,
            Unary::Trunc,
            Unary::Float4,
            Unary::Not,
            Unary::IsNull,
        ]);
        let arithmetic = vec![
            Binary::Add,
            Binary::Subtract,
            Binary::Multiply,
            Binary::Divide,
            Binary::Power,
        ];
        let logic = vec![
            Binary::Equal,
            Binary::NotEqual,
            Binary::Less,
            Binary::LessEqual,
            Binary::Greater,
            Binary::GreaterEqual,
            Binary::And,
            Binary::Or,
        ];
        let binary = prop_oneof![
            3 => prop::sample::select(arithmetic),
            1 => prop::sample::select(logic),
        ];
        let variadic =
            prop::sample::select(vec![Variadic::Least, Variadic::Greatest, Variadic::Coalesce]);
        let list = prop::collection::vec(inner.clone(), 1..4);
        let branches = prop::collection::vec((inner.clone(), inner.clone()), 1..3);
        let blend = prop::array::uniform8(inner.clone()).prop_map(|arguments| {
            let [distance, created_at, importance, decay_rate, weights @ .., as_of, base_rate] =
                arguments;
            let [recency_weight, importance_weight] = weights;
            Expr::Blend(Box::new(BlendExpr {
                distance,
                created_at,
                importance,
                decay_rate,
                recency_weight,
                importance_weight,
                as_of,
                base_rate,
            }))
        });
        prop_oneof![
            2 => (unary, inner.clone()).prop_map(|(f, x)| Expr::unary(f, x)),
            4 => (binary, inner.clone(), inner.clone()).prop_map(|(f, x, y)| Expr::binary(f, x, y)),
            1 => (variadic, list).prop_map(|(f, list)| Expr::variadic(f, list)),
            1 => blend,
            1 => (branches, inner).prop_map(|(branches, otherwise)| Expr::case(branches, otherwise)),
        ]
    })
}
