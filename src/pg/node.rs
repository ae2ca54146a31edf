//! Expressions as the planner has them, to be looked at and built.
//!
//! What the planner makes lives until the planning of its statement ends, which is when everything
//! here is over as well. Names of functions and operators are resolved already: an identifier says
//! what is called, whatever the search path is.

use std::marker::PhantomData;
use std::ptr::NonNull;

use pgrx::PgList;
use pgrx::pg_sys::{self, Datum, NodeTag, Oid};

pub use super::shape::{Constant, Shape};

/// Built-in objects have identifiers below this one, the same ones in every database; the server's
/// `FirstGenbkiObjectId`.
const FIRST_USER_OBJECT: u32 = 10_000;

/// Arrays of more elements than these are not looked into: nobody makes a score of them.
const MOST_ELEMENTS: usize = 500;

/// An expression.
#[derive(Clone, Copy)]
pub struct Node<'p> {
    node: NonNull<pg_sys::Node>,
    plan: PhantomData<&'p ()>,
}

impl<'p> Node<'p> {
    /// `None` for null.
    ///
    /// # Safety
    /// Null, or an expression that lives as long as the result.
    pub unsafe fn new<T>(node: *mut T) -> Option<Node<'p>> {
        Some(Node {
            node: NonNull::new(node.cast())?,
            plan: PhantomData,
        })
    }

    /// For the server's functions.
    pub fn as_raw(self) -> *mut pg_sys::Node {
        self.node.as_ptr()
    }

    /// The type of its value, that below a domain.
    pub fn type_of(self) -> Oid {
        // SAFETY: a valid expression.
        unsafe { pg_sys::getBaseType(pg_sys::exprType(self.as_raw())) }
    }

    /// True where its type is an enum.
    pub fn is_enum(self) -> bool {
        // SAFETY: a lookup by identifier.
        unsafe { pg_sys::type_is_enum(self.type_of()) }
    }

    /// True for what has one value as long as a scan runs: without columns, not volatile, and no
    /// set.
    pub fn is_fixed(self) -> bool {
        // SAFETY: these look at a valid expression.
        unsafe {
            !pg_sys::contain_var_clause(self.as_raw())
                && !pg_sys::contain_volatile_functions(self.as_raw())
                && !pg_sys::contain_subplans(self.as_raw())
                && !pg_sys::expression_returns_set(self.as_raw())
        }
    }

    /// True where the two are the same expression.
    pub fn equals(self, other: Node<'_>) -> bool {
        // SAFETY: both are valid expressions.
        unsafe { pg_sys::equal(self.as_raw().cast(), other.as_raw().cast()) }
    }

    /// The expression without labels of another type for the same bytes.
    pub fn unlabelled(self) -> Node<'p> {
        let mut node = self;
        while let Shape::Relabelled(inner) = node.shape() {
            node = inner;
        }
        node
    }

    /// The number of the parameter that it is, where that gets its value while the plan runs.
    pub fn execution_parameter(self) -> Option<i32> {
        // SAFETY: the tag says of which type the node is.
        unsafe {
            if (*self.as_raw()).type_ != NodeTag::T_Param {
                return None;
            }
            let parameter = &*self.as_raw().cast::<pg_sys::Param>();
            (parameter.paramkind == pg_sys::ParamKind::PARAM_EXEC).then_some(parameter.paramid)
        }
    }

    /// A copy, so that two plans never share what one of them changes.
    pub fn copy(self) -> Node<'p> {
        // SAFETY: copying a valid expression gives another one.
        unsafe {
            Node {
                node: NonNull::new_unchecked(
                    pg_sys::copyObjectImpl(self.as_raw().cast()).cast::<pg_sys::Node>(),
                ),
                plan: PhantomData,
            }
        }
    }

    /// What it is.
    pub fn shape(self) -> Shape<'p> {
        let node = self.as_raw();
        // SAFETY: the tag says of which type the node is; its fields are valid expressions.
        unsafe {
            match (*node).type_ {
                NodeTag::T_Const => Shape::Constant(constant(&*node.cast())),
                NodeTag::T_Param => Shape::Parameter,
                NodeTag::T_SQLValueFunction => Shape::Clock,
                NodeTag::T_FuncExpr => {
                    let call = &*node.cast::<pg_sys::FuncExpr>();
                    Shape::Call {
                        function: call.funcid,
                        operator: None,
                        arguments: list(call.args),
                        collation: call.inputcollid,
                    }
                }
                NodeTag::T_OpExpr => {
                    let call = &*node.cast::<pg_sys::OpExpr>();
                    Shape::Call {
                        function: pg_sys::get_opcode(call.opno),
                        operator: Some(call.opno),
                        arguments: list(call.args),
                        collation: call.inputcollid,
                    }
                }
                NodeTag::T_NullIfExpr => {
                    let call = &*node.cast::<pg_sys::OpExpr>();
                    Shape::NullIf {
                        operator: call.opno,
                        arguments: list(call.args),
                    }
                }
                NodeTag::T_DistinctExpr => {
                    let call = &*node.cast::<pg_sys::OpExpr>();
                    Shape::Distinct {
                        operator: call.opno,
                        arguments: list(call.args),
                        collation: call.inputcollid,
                    }
                }
                NodeTag::T_RelabelType => {
                    one((*node.cast::<pg_sys::RelabelType>()).arg, Shape::Relabelled)
                }
                NodeTag::T_PlaceHolderVar => placeholder(&*node.cast()),
                NodeTag::T_CaseExpr => case(&*node.cast()),
                NodeTag::T_CaseTestExpr => Shape::Subject,
                NodeTag::T_MinMaxExpr => {
                    let call = &*node.cast::<pg_sys::MinMaxExpr>();
                    match call.op {
                        pg_sys::MinMaxOp::IS_GREATEST => Shape::Greatest(list(call.args)),
                        _ => Shape::Least(list(call.args)),
                    }
                }
                NodeTag::T_CoalesceExpr => {
                    Shape::Coalesce(list((*node.cast::<pg_sys::CoalesceExpr>()).args))
                }
                NodeTag::T_BoolExpr => {
                    let call = &*node.cast::<pg_sys::BoolExpr>();
                    let arguments = list(call.args);
                    match call.boolop {
                        pg_sys::BoolExprType::AND_EXPR => Shape::And(arguments),
                        pg_sys::BoolExprType::OR_EXPR => Shape::Or(arguments),
                        _ => arguments
                            .first()
                            .map_or(Shape::Other, |&node| Shape::Not(node)),
                    }
                }
                NodeTag::T_NullTest => {
                    let test = &*node.cast::<pg_sys::NullTest>();
                    match test.nulltesttype {
                        _ if test.argisrow => Shape::Other,
                        pg_sys::NullTestType::IS_NULL => one(test.arg, Shape::IsNull),
                        _ => one(test.arg, Shape::IsNotNull),
                    }
                }
                NodeTag::T_BooleanTest => boolean_test(&*node.cast()),
                NodeTag::T_ScalarArrayOpExpr => any_of(&*node.cast()),
                _ => Shape::Other,
            }
        }
    }
}

/// True where a recursion had better end, though the server's own functions went as deep.
pub fn is_too_deep() -> bool {
    // SAFETY: looks at the address of a local variable.
    unsafe { pg_sys::stack_is_too_deep() }
}

/// Whether an object came with the server, so that its identifier tells what it is.
pub fn is_built_in(object: Oid) -> bool {
    object.to_u32() < FIRST_USER_OBJECT
}

/// # Safety
/// Null, or an expression as for [`Node::new`].
unsafe fn one<'p, T>(node: *mut T, shape: impl Fn(Node<'p>) -> Shape<'p>) -> Shape<'p> {
    // SAFETY: by the caller.
    unsafe { Node::new(node) }.map_or(Shape::Other, shape)
}

/// # Safety
/// A list of expressions.
pub(super) unsafe fn list<'p>(list: *mut pg_sys::List) -> Vec<Node<'p>> {
    // SAFETY: by the caller.
    unsafe {
        let list = PgList::<pg_sys::Node>::from_pg(list);
        list.iter_ptr().filter_map(|node| Node::new(node)).collect()
    }
}

/// # Safety
/// A valid node.
unsafe fn placeholder<'p>(node: &pg_sys::PlaceHolderVar) -> Shape<'p> {
    // Beyond an outer join its value can be NULL where the expression's is not.
    #[cfg(not(feature = "pg15"))]
    let is_plain = node.phlevelsup == 0 && node.phnullingrels.is_null();
    #[cfg(feature = "pg15")]
    let is_plain = node.phlevelsup == 0;
    if !is_plain {
        return Shape::Other;
    }
    // SAFETY: by the caller.
    unsafe { one(node.phexpr, Shape::Relabelled) }
}

/// # Safety
/// A valid node.
unsafe fn case<'p>(node: &pg_sys::CaseExpr) -> Shape<'p> {
    // SAFETY: by the caller; the list is of CaseWhen nodes.
    unsafe {
        let branches = list(node.args)
            .into_iter()
            .filter_map(|branch| {
                let branch = &*branch.as_raw().cast::<pg_sys::CaseWhen>();
                Some((Node::new(branch.expr)?, Node::new(branch.result)?))
            })
            .collect();
        Shape::Case {
            subject: Node::new(node.arg),
            branches,
            otherwise: Node::new(node.defresult),
        }
    }
}

/// # Safety
/// A valid node.
unsafe fn boolean_test<'p>(node: &pg_sys::BooleanTest) -> Shape<'p> {
    use pg_sys::BoolTestType::{IS_FALSE, IS_NOT_FALSE, IS_NOT_TRUE, IS_TRUE, IS_UNKNOWN};
    // SAFETY: by the caller.
    unsafe {
        one(node.arg, |argument| match node.booltesttype {
            IS_TRUE => Shape::Is(argument, Some(true)),
            IS_FALSE => Shape::Is(argument, Some(false)),
            IS_UNKNOWN => Shape::Is(argument, None),
            IS_NOT_TRUE => Shape::IsNot(argument, Some(true)),
            IS_NOT_FALSE => Shape::IsNot(argument, Some(false)),
            _ => Shape::IsNot(argument, None),
        })
    }
}

/// # Safety
/// A valid node.
unsafe fn any_of<'p>(node: &pg_sys::ScalarArrayOpExpr) -> Shape<'p> {
    // SAFETY: by the caller; an array that is written out is a constant or an ArrayExpr.
    unsafe {
        let arguments: Vec<Node<'p>> = list(node.args);
        let [left, array] = arguments[..] else {
            return Shape::Other;
        };
        let Some(elements) = elements(array) else {
            return Shape::Other;
        };
        Shape::AnyOf {
            operator: node.opno,
            any: node.useOr,
            left,
            elements,
            collation: node.inputcollid,
        }
    }
}

/// The elements of an array that is written out, `None` for any other.
///
/// # Safety
/// A valid expression.
unsafe fn elements<'p>(array: Node<'p>) -> Option<Vec<Node<'p>>> {
    // SAFETY: by the caller; the tag says of which type the node is.
    unsafe {
        match (*array.as_raw()).type_ {
            NodeTag::T_ArrayExpr => {
                let array = &*array.as_raw().cast::<pg_sys::ArrayExpr>();
                let is_short = pg_sys::list_length(array.elements) as usize <= MOST_ELEMENTS;
                (!array.multidims && is_short).then(|| list(array.elements))
            }
            NodeTag::T_Const => {
                let array = &*array.as_raw().cast::<pg_sys::Const>();
                let element = pg_sys::get_element_type(array.consttype);
                if array.constisnull || element == Oid::INVALID {
                    return None;
                }
                // Before there is a node for each.
                if super::datum::array_length(array.constvalue) > MOST_ELEMENTS {
                    return None;
                }
                let (mut width, mut by_value, mut alignment) = (0, false, 0);
                pg_sys::get_typlenbyvalalign(element, &mut width, &mut by_value, &mut alignment);
                let collation = pg_sys::get_typcollation(element);
                let value = super::datum::elements(array.constvalue);
                let constants = value.into_iter().filter_map(|value| {
                    Node::new(pg_sys::makeConst(
                        element,
                        -1,
                        collation,
                        width.into(),
                        value.unwrap_or(Datum::null()),
                        value.is_none(),
                        by_value,
                    ))
                });
                Some(constants.collect())
            }
            _ => None,
        }
    }
}

/// # Safety
/// A valid node.
unsafe fn constant(node: &pg_sys::Const) -> Constant {
    if node.constisnull {
        return Constant::Null;
    }
    let bits = node.constvalue.value();
    // SAFETY: a constant has a value of its type.
    unsafe {
        match pg_sys::getBaseType(node.consttype) {
            pg_sys::INT2OID => Constant::Number(f64::from(bits as i16)),
            pg_sys::INT4OID => Constant::Number(f64::from(bits as i32)),
            pg_sys::INT8OID => Constant::Number(bits as i64 as f64),
            pg_sys::FLOAT4OID => Constant::Number(f64::from(f32::from_bits(bits as u32))),
            pg_sys::FLOAT8OID => Constant::Number(f64::from_bits(bits as u64)),
            pg_sys::BOOLOID => Constant::Number(f64::from(bits as u8 != 0)),
            pg_sys::NUMERICOID => match super::datum::numeric_of_few_digits(node.constvalue) {
                Some(number) => Constant::Number(number),
                None => Constant::Other,
            },
            pg_sys::TEXTOID => {
                let bytes = super::datum::varlena(node.constvalue);
                Constant::Text(super::text::from_server(&bytes))
            }
            _ => Constant::Other,
        }
    }
}
