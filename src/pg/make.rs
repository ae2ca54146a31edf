//! Expressions, made for plans.

use pgrx::IntoDatum;
use pgrx::pg_sys::{self, Datum, Oid};

use super::names;
use super::node::Node;
use super::text;

/// A constant of type `text`.
pub fn text<'p>(value: &str) -> Node<'p> {
    // SAFETY: makes a node with a value of the type it names.
    unsafe {
        let value = text::to_server(value).into_owned().into_datum();
        let value = value.unwrap_or(Datum::null());
        let collation = pg_sys::get_typcollation(pg_sys::TEXTOID);
        made(pg_sys::makeConst(
            pg_sys::TEXTOID,
            -1,
            collation,
            -1,
            value,
            false,
            false,
        ))
    }
}

/// NULL of a type without a collation.
pub fn null<'p>(kind: Oid) -> Node<'p> {
    // SAFETY: makes a node.
    unsafe { made(pg_sys::makeNullConst(kind, -1, Oid::INVALID)) }
}

/// A call of a function that returns that type.
pub fn call<'p>(function: Oid, result: Oid, arguments: &[Node<'p>]) -> Node<'p> {
    let none = Oid::INVALID;
    let format = pg_sys::CoercionForm::COERCE_EXPLICIT_CALL;
    // SAFETY: makes a node of valid ones.
    unsafe {
        made(pg_sys::makeFuncExpr(
            function,
            result,
            to_list(arguments),
            none,
            none,
            format,
        ))
    }
}

/// A call of a cast's function that reads like a cast the parser added.
pub fn cast<'p>(function: u32, result: Oid, argument: Node<'p>) -> Node<'p> {
    let none = Oid::INVALID;
    let format = pg_sys::CoercionForm::COERCE_IMPLICIT_CAST;
    let arguments = to_list(&[argument]);
    // SAFETY: makes a node of valid ones.
    unsafe {
        made(pg_sys::makeFuncExpr(
            function.into(),
            result,
            arguments,
            none,
            none,
            format,
        ))
    }
}

/// An operator between two expressions.
pub fn operator<'p>(operator: Oid, result: Oid, left: Node<'p>, right: Node<'p>) -> Node<'p> {
    let none = Oid::INVALID;
    let (left, right) = (left.as_raw().cast(), right.as_raw().cast());
    // SAFETY: makes a node of valid ones.
    unsafe {
        let node = pg_sys::make_opclause(operator, result, false, left, right, none, none);
        pg_sys::set_opfuncid(node.cast());
        made(node)
    }
}

/// `argument IS NULL`
pub fn is_null<'p>(argument: Node<'p>) -> Node<'p> {
    null_test(argument, pg_sys::NullTestType::IS_NULL)
}

fn null_test<'p>(argument: Node<'p>, kind: pg_sys::NullTestType::Type) -> Node<'p> {
    // SAFETY: allocates a node of the type that its tag says.
    unsafe {
        let mut test = pgrx::PgBox::<pg_sys::NullTest>::alloc_node(pg_sys::NodeTag::T_NullTest);
        test.arg = argument.as_raw().cast();
        test.nulltesttype = kind;
        test.argisrow = false;
        test.location = -1;
        made(test.into_pg())
    }
}

/// `CASE WHEN argument IS NOT NULL THEN 'infinity' END`
pub fn infinity_unless_null<'p>(argument: Node<'p>) -> Node<'p> {
    let kind = pg_sys::FLOAT8OID;
    let test = null_test(argument, pg_sys::NullTestType::IS_NOT_NULL);
    // SAFETY: allocates nodes of the types that their tags say.
    unsafe {
        let value = f64::INFINITY.into_datum().unwrap_or(Datum::null());
        let infinity = pg_sys::makeConst(kind, -1, Oid::INVALID, 8, value, false, true);
        let mut when = pgrx::PgBox::<pg_sys::CaseWhen>::alloc_node(pg_sys::NodeTag::T_CaseWhen);
        when.expr = test.as_raw().cast();
        when.result = infinity.cast();
        when.location = -1;
        let when: Node<'p> = made(when.into_pg());
        let mut case = pgrx::PgBox::<pg_sys::CaseExpr>::alloc_node(pg_sys::NodeTag::T_CaseExpr);
        case.casetype = kind;
        case.args = to_list(&[when]);
        case.defresult = null(kind).as_raw().cast();
        case.location = -1;
        made(case.into_pg())
    }
}

/// `left IS DISTINCT FROM right`, of a type that knows what is equal.
pub fn are_distinct<'p>(left: Node<'p>, right: Node<'p>) -> Option<Node<'p>> {
    let kind = left.type_of();
    // SAFETY: a lookup by identifier; makes a node of valid ones.
    unsafe {
        let known = pg_sys::lookup_type_cache(kind, pg_sys::TYPECACHE_EQ_OPR as i32);
        let equals = (*known).eq_opr;
        if equals == Oid::INVALID || right.type_of() != kind {
            return None;
        }
        if !names::may_execute(pg_sys::get_opcode(equals)) {
            return None;
        }
        let node = operator(equals, pg_sys::BOOLOID, left, right);
        // The same structure
        (*node.as_raw()).type_ = pg_sys::NodeTag::T_DistinctExpr;
        Some(node)
    }
}

/// An array of `double precision`.
pub fn array<'p>(elements: &[Node<'p>]) -> Node<'p> {
    // SAFETY: allocates a node of the type that its tag says.
    unsafe {
        let mut array = pgrx::PgBox::<pg_sys::ArrayExpr>::alloc_node(pg_sys::NodeTag::T_ArrayExpr);
        array.array_typeid = pg_sys::FLOAT8ARRAYOID;
        array.element_typeid = pg_sys::FLOAT8OID;
        array.elements = to_list(elements);
        array.location = -1;
        made(array.into_pg())
    }
}

/// # Safety
/// A new expression.
unsafe fn made<'p, T>(node: *mut T) -> Node<'p> {
    // SAFETY: by the caller.
    match unsafe { Node::new(node) } {
        Some(node) => node,
        None => unreachable!("the server raises an error when it has no memory for a node"),
    }
}

fn to_list(nodes: &[Node<'_>]) -> *mut pg_sys::List {
    nodes.iter().fold(std::ptr::null_mut(), |list, node| {
        // SAFETY: appends to a list that is ours, or makes one.
        unsafe { pg_sys::lappend(list, node.as_raw().cast()) }
    })
}
