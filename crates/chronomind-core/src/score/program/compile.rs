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

type Result<T> = std::result::Result<T, CompileError>;

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
    Program {
        operations: kept,
        result: places[result],
        attributes,
        distances: metric.range(),
        columns: Scratch::default(),
        intervals: Scratch::default(),
    }
}

struct Compiler<'p, R> {
    resolve: R,
    parameters: &'p [Option<f64>],
    operations: Vec<Operation>,
    /// Where each operation is found again.
    registers: HashMap<Operation, usize>,
}

impl<R: Fn(&str) -> Option<(usize, AttributeKind)>> Compiler<'_, R> {
    /// The register with the value of an expression.
    fn expr(&mut self, expr: &Expr) -> Result<usize> {
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
                    if *function == Variadic::Coalesce
                        && matches!(self.value(result), Some(Some(_)))
                    {
                        break;
                    }
                    let argument = self.expr(argument)?;
                    result = match self.value(result) {
                        Some(None) => argument,
                        _ => self.operation(Operation::Variadic(*function, result, argument)),
                    };
                }
                result
            }
            Expr::Case {
                branches,
                otherwise,
            } => self.case(branches, otherwise)?,
        })
    }

    /// The branches that can be taken, from the first.
    fn case(&mut self, branches: &[(Expr, Expr)], otherwise: &Expr) -> Result<usize> {
        let Some(((condition, value), rest)) = branches.split_first() else {
            return self.expr(otherwise);
        };
        let condition = self.expr(condition)?;
        match self.value(condition) {
            Some(Some(holds)) if holds != 0.0 => self.expr(value),
            Some(_) => self.case(rest, otherwise),
            None => {
                let value = self.expr(value)?;
                let rest = self.case(rest, otherwise)?;
                Ok(self.operation(Operation::Select(condition, value, rest)))
            }
        }
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

    fn constant(&mut self, value: Option<f64>) -> usize {
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

    /// The register of an operation, folded if its operands are constants.
    fn operation(&mut self, mut operation: Operation) -> usize {
        let operands: Vec<usize> = operation.operands().map(|operand| *operand).collect();
        let strict = match operation {
            Operation::Unary(function, _) => function != Unary::IsNull,
            Operation::Binary(function, ..) => !matches!(function, Binary::And | Binary::Or),
            _ => false,
        };
        if strict && operands.iter().any(|&x| self.value(x) == Some(None)) {
            return self.constant(None);
        }
        let known = operands.iter().all(|&x| self.value(x).is_some());
        if operands.is_empty() || !known {
            return self.push(operation);
        }
        let columns: Vec<Column> = operands
            .iter()
            .map(|&operand| Column::new(&self.operations[operand]))
            .collect();
        operation
            .operands()
            .enumerate()
            .for_each(|(place, operand)| *operand = place);
        let mut folded = Column::new(&Operation::Null);
        let row = Batch {
            distances: &[0.0],
            null_distances: 0,
            keys: &[],
            stride: 1,
            nulls: &[],
        };
        folded.compute(&operation, &columns, &row);
        self.constant(folded.get(0))
    }

    fn push(&mut self, operation: Operation) -> usize {
        *self.registers.entry(operation).or_insert_with(|| {
            self.operations.push(operation);
            self.operations.len() - 1
        })
    }
}
