//! From the tree to the list.

use std::collections::HashMap;
use std::fmt::{Display, Formatter};

use super::super::expr::{Binary, Expr, Unary, Variadic};
use super::super::{AttributeKind, Batch};
use super::lanes::Column;
use super::{Operation, Program, Scratch};
use crate::distance::Metric;

/// Why an expression has no program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileError {
    /// There is no attribute of that name.
    Attribute(String),
    /// There is no parameter of that number.
    Parameter(u32),
    /// A hashed attribute of that name is used for more than equality.
    Hashed(String),
}

impl Display for CompileError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            CompileError::Attribute(name) => write!(f, "the index has no attribute \"{name}\""),
            CompileError::Parameter(number) => write!(f, "there is no parameter ${number}"),
            CompileError::Hashed(name) => {
                write!(f, "attribute \"{name}\" is only good for equality")
            }
        }
    }
}

impl std::error::Error for CompileError {}

pub(super) type Result<T> = std::result::Result<T, CompileError>;

impl Program {
    /// Compiles an expression over the attributes of an index with that metric. `resolve` finds the
    /// ordinal and the kind of an attribute by its name; the first parameter is that of `$1`, `None`
    /// for NULL.
    pub fn compile(
        expr: &Expr,
        metric: Metric,
        resolve: impl Fn(&str) -> Option<(usize, AttributeKind)>,
        parameters: &[Option<f64>],
    ) -> Result<Program> {
        let mut compiler = Compiler {
            resolve,
            parameters,
            operations: Vec::new(),
            registers: HashMap::new(),
        };
        let result = compiler.expr(expr)?;
        Ok(finish(compiler.operations, result, metric))
    }
}

/// Drops the operations that the result does not depend on.
fn finish(mut operations: Vec<Operation>, result: usize, metric: Metric) -> Program {
    let mut wanted = vec![false; operations.len()];
    wanted[result] = true;
    for register in (0..operations.len()).rev() {
        if wanted[register] {
            operations[register]
                .operands()
                .for_each(|x| wanted[*x] = true);
        }
    }
    let mut kept = Vec::new();
    let mut places = Vec::with_capacity(operations.len());
    let mut attributes = 0;
    for (mut operation, wanted) in operations.into_iter().zip(wanted) {
        places.push(kept.len());
        if wanted {
            operation.operands().for_each(|x| *x = places[*x]);
            if let Operation::Attribute(attribute, _) | Operation::HasKey(attribute, _) = operation
            {
                attributes |= 1 << attribute;
            }
            kept.push(operation);
        }
    }
    let result = places[result];
    let (settled, moving, parts) = split(&mut kept, result);
    Program {
        operations: kept,
        result,
        attributes,
        settled,
        moving,
        parts,
        distances: metric.range(),
        columns: Scratch::default(),
        intervals: Scratch::default(),
        ranges: Scratch::default(),
    }
}

/// The registers that follow from attributes alone, those that the distance has a part in, and what these
/// read of the former but for constants.
fn split(operations: &mut [Operation], result: usize) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
    let mut moves: Vec<bool> = Vec::with_capacity(operations.len());
    let mut read = vec![false; operations.len()];
    read[result] = true;
    for operation in operations.iter_mut() {
        let is_distance = *operation == Operation::Distance;
        let moving = is_distance || operation.operands().any(|x| moves[*x]);
        if moving {
            operation.operands().for_each(|x| read[*x] = true);
        }
        moves.push(moving);
    }
    let constant = |register: usize| {
        matches!(
            operations[register],
            Operation::Constant(_) | Operation::Null
        )
    };
    let all = 0..moves.len();
    let (moving, settled): (Vec<usize>, Vec<usize>) = all.partition(|&register| moves[register]);
    let parts = settled
        .iter()
        .copied()
        .filter(|&x| read[x] && !constant(x))
        .collect();
    (settled, moving, parts)
}

/// The value of an operation on constants.
fn fold(mut operation: Operation, values: &[Option<Option<f64>>]) -> Option<f64> {
    let constants = values.iter().map(|value| match value.flatten() {
        Some(value) => Operation::Constant(value.to_bits()),
        None => Operation::Null,
    });
    let operands: Vec<Column> = constants.map(|constant| Column::new(&constant)).collect();
    let places = operation.operands().enumerate();
    places.for_each(|(place, operand)| *operand = place);
    let row = Batch {
        distances: &[0.0],
        null_distances: 0,
        keys: &[],
        stride: 1,
        nulls: &[],
    };
    let mut folded = Column::new(&Operation::Null);
    folded.compute(&operation, &operands, &row);
    folded.get(0)
}

/// An expression on its way.
pub(super) struct Compiler<'p, R> {
    resolve: R,
    parameters: &'p [Option<f64>],
    operations: Vec<Operation>,
    /// Where each operation is found again.
    registers: HashMap<Operation, usize>,
}

impl<R: Fn(&str) -> Option<(usize, AttributeKind)>> Compiler<'_, R> {
    /// The register with the value of an expression.
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<usize> {
        Ok(match expr {
            Expr::Constant(value) => self.constant(Some(*value)),
            Expr::Null => self.constant(None),
            Expr::Parameter(number) => {
                let value = self.parameter(*number)?;
                self.constant(value)
            }
            Expr::Distance => self.operation(Operation::Distance),
            Expr::Attribute(name) => match self.attribute(name)? {
                (_, AttributeKind::Hash) => return Err(CompileError::Hashed(name.clone())),
                (attribute, kind) => self.operation(Operation::Attribute(attribute, kind)),
            },
            Expr::Unary(function, argument) => {
                let argument = match &**argument {
                    Expr::Attribute(name) if *function == Unary::IsNull => {
                        let (attribute, kind) = self.attribute(name)?;
                        self.operation(Operation::Attribute(attribute, kind))
                    }
                    argument => self.expr(argument)?,
                };
                self.operation(Operation::Unary(*function, argument))
            }
            Expr::Binary(function, left, right) => match self.has_key(*function, left, right)? {
                Some(register) => register,
                None => {
                    let (left, right) = (self.expr(left)?, self.expr(right)?);
                    self.operation(Operation::Binary(*function, left, right))
                }
            },
            Expr::Variadic(function, arguments) => {
                let mut result = self.constant(None);
                for argument in arguments {
                    let argument = self.expr(argument)?;
                    result = self.operation(Operation::Variadic(*function, result, argument));
                }
                result
            }
            Expr::Case {
                branches,
                otherwise,
            } => {
                let mut result = self.expr(otherwise)?;
                for (condition, value) in branches.iter().rev() {
                    let (condition, value) = (self.expr(condition)?, self.expr(value)?);
                    result = self.operation(Operation::Select(condition, value, result));
                }
                result
            }
            Expr::Blend(blend) => self.blend(blend)?,
        })
    }

    /// Comparisons of a hashed attribute with a key.
    fn has_key(&mut self, function: Binary, left: &Expr, right: &Expr) -> Result<Option<usize>> {
        let ((Expr::Attribute(name), Expr::Parameter(number))
        | (Expr::Parameter(number), Expr::Attribute(name))) = (left, right)
        else {
            return Ok(None);
        };
        let (attribute, AttributeKind::Hash) = self.attribute(name)? else {
            return Ok(None);
        };
        let key = self.parameter(*number)?;
        let equal = match key {
            Some(key) => self.operation(Operation::HasKey(attribute, key.to_bits())),
            None => self.constant(None),
        };
        match function {
            Binary::Equal => Ok(Some(equal)),
            Binary::NotEqual => Ok(Some(self.operation(Operation::Unary(Unary::Not, equal)))),
            _ => Err(CompileError::Hashed(name.clone())),
        }
    }

    fn attribute(&self, name: &str) -> Result<(usize, AttributeKind)> {
        (self.resolve)(name).ok_or_else(|| CompileError::Attribute(name.to_string()))
    }

    fn parameter(&self, number: u32) -> Result<Option<f64>> {
        let index = (number as usize).checked_sub(1);
        let parameter = index.and_then(|index| self.parameters.get(index));
        parameter.copied().ok_or(CompileError::Parameter(number))
    }

    pub(super) fn constant(&mut self, value: Option<f64>) -> usize {
        self.push(match value {
            Some(value) => Operation::Constant(value.to_bits()),
            None => Operation::Null,
        })
    }

    /// The value of a register, if it is the same for every row.
    fn value(&self, register: usize) -> Option<Option<f64>> {
        match self.operations[register] {
            Operation::Constant(bits) => Some(Some(f64::from_bits(bits))),
            Operation::Null => Some(None),
            _ => None,
        }
    }

    /// The register with the value of an operation, which may be there already.
    pub(super) fn operation(&mut self, mut operation: Operation) -> usize {
        let operands: Vec<usize> = operation.operands().map(|operand| *operand).collect();
        let values: Vec<_> = operands
            .iter()
            .map(|&operand| self.value(operand))
            .collect();
        let has_null = values.contains(&Some(None));
        match operation {
            Operation::Unary(Unary::IsNull, _)
            | Operation::Binary(Binary::And | Binary::Or, ..) => {}
            Operation::Unary(..) | Operation::Binary(..) if has_null => return self.constant(None),
            Operation::Variadic(_, x, y) if has_null => {
                return if values[0] == Some(None) { y } else { x };
            }
            Operation::Variadic(Variadic::Coalesce, x, _) if values[0].is_some() => return x,
            Operation::Select(_, x, y) => match values[0] {
                Some(Some(holds)) if holds != 0.0 => return x,
                Some(_) => return y,
                None => {}
            },
            _ => {}
        }
        if values.is_empty() || values.contains(&None) {
            self.push(operation)
        } else {
            let folded = fold(operation, &values);
            self.constant(folded)
        }
    }

    fn push(&mut self, operation: Operation) -> usize {
        *self.registers.entry(operation).or_insert_with(|| {
            self.operations.push(operation);
            self.operations.len() - 1
        })
    }
}
