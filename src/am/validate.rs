//! Whether an operator class makes sense: `amvalidate`.
//!
//! CREATE OPERATOR CLASS checks little. Above all it does not check that the family an operator
//! sorts by can sort what the operator returns.

use super::callbacks::{ORDER_BY_DISTANCE, ORDER_BY_NUMERIC_SCORE, ORDER_BY_SCORE};
use crate::error::Result;
use crate::pg::attribute::AttributeType;
use crate::pg::catalog::{
    self, ELEMENT_FUNCTION, FamilyFunction, FamilyOperator, METRIC_FUNCTION, OperatorClass,
    SUPPORT_FUNCTIONS,
};
use chronomind_core::score::AttributeKind;
use pgrx::pg_sys::{self, Oid};

/// Strategies of operators to order by.
const ORDERS: [u16; 3] = [ORDER_BY_DISTANCE, ORDER_BY_SCORE, ORDER_BY_NUMERIC_SCORE];
/// Strategies of comparisons: less, at most, equal, at least, greater.
const COMPARISONS: std::ops::RangeInclusive<i16> = 1..=5;
const EQUAL: i16 = 3;

/// What is wrong with an operator class and its family; nothing where it is sound.
pub fn problems(class: Oid) -> Result<Vec<String>> {
    let class = catalog::operator_class(class)?;
    let operators = catalog::family_operators(class.family);
    let functions = catalog::family_functions(class.family);
    let mut problems = Vec::new();
    problems.extend(operators.iter().filter_map(operator_problem));
    problems.extend(functions.iter().filter_map(function_problem));
    problems.extend(class_problems(&class, &operators, &functions));
    Ok(problems)
}

fn operator_problem(operator: &FamilyOperator) -> Option<String> {
    let name = &operator.name;
    match operator.sort_family {
        Some(_) if !ORDERS.contains(&(operator.strategy as u16)) => Some(format!(
            "operator {name} to order by has invalid strategy number {}",
            operator.strategy
        )),
        Some(sort_family) if !catalog::sorts(sort_family, operator.result) => Some(format!(
            "operator {name} is sorted by a family that cannot sort type {}",
            catalog::type_name(operator.result)
        )),
        None if !COMPARISONS.contains(&operator.strategy) => Some(format!(
            "operator {name} has invalid strategy number {}",
            operator.strategy
        )),
        None if operator.result != pg_sys::BOOLOID => {
            Some(format!("operator {name} does not return boolean"))
        }
        _ => None,
    }
}

fn function_problem(function: &FamilyFunction) -> Option<String> {
    let name = &function.name;
    if !(METRIC_FUNCTION..=SUPPORT_FUNCTIONS).contains(&(function.number as u16)) {
        return Some(format!(
            "function {name} has invalid support number {}",
            function.number
        ));
    }
    let sound = function.arguments == 0
        && function.result == pg_sys::INT2OID
        && function.left == function.right;
    (!sound).then(|| format!("function {name} has the wrong signature for a support function"))
}

fn class_problems(
    class: &OperatorClass,
    operators: &[FamilyOperator],
    functions: &[FamilyFunction],
) -> Vec<String> {
    let has_function = |number: u16| {
        functions
            .iter()
            .any(|function| function.number == number as i16 && function.left == class.input_type)
    };
    let mut own = operators
        .iter()
        .filter(|operator| operator.left == class.input_type);
    let name = &class.name;
    let mut problems = Vec::new();
    let mut demand = |fulfilled: bool, what: String| {
        if !fulfilled {
            problems.push(format!("operator class \"{name}\" {what}"));
        }
    };
    demand(
        class.storage_type == Oid::INVALID,
        "stores another type than it indexes".into(),
    );
    if has_function(METRIC_FUNCTION) || has_function(ELEMENT_FUNCTION) {
        for number in METRIC_FUNCTION..=SUPPORT_FUNCTIONS {
            demand(
                has_function(number),
                format!("is missing support function {number}"),
            );
        }
        let by_distance = |operator: &FamilyOperator| {
            operator.sort_family.is_some()
                && operator.strategy == ORDER_BY_DISTANCE as i16
                && operator.right == class.input_type
        };
        demand(
            own.any(by_distance),
            "is missing the operator that orders by the distance".into(),
        );
        return problems;
    }
    let Some(attribute) = AttributeType::from_oid(class.input_type) else {
        let input_type = catalog::type_name(class.input_type);
        demand(false, format!("is for {input_type}, which is no attribute"));
        return problems;
    };
    let comparisons: Vec<i16> = own
        .filter(|operator| operator.right == class.input_type && operator.sort_family.is_none())
        .map(|operator| operator.strategy)
        .collect();
    for strategy in COMPARISONS {
        if attribute.kind() == AttributeKind::Hash && strategy != EQUAL {
            demand(
                !comparisons.contains(&strategy),
                format!("has operator {strategy}, but a hash has no order"),
            );
        } else {
            demand(
                comparisons.contains(&strategy),
                format!("is missing operator {strategy}"),
            );
        }
    }
    problems
}
