//! SQL values as the engine takes them: vectors as bytes, attributes as sortable keys.

use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use chronomind_core::distance::Element;
use chronomind_core::score::{AttributeKind, decode_float, decode_int, encode_float, encode_int};
use pgrx::datum::Uuid;
use pgrx::pg_sys::{self, Datum};
use pgrx::{AnyElement, PgSqlErrorCode, direct_function_call, varlena};
use std::ffi::{CStr, CString, c_int};

unsafe extern "C-unwind" {
    /// Postgres's hash of bytes: `hash_bytes_extended` in `common/hashfn.h`. Tables are
    /// partitioned by it, so that it is the same in all versions.
    fn hash_bytes_extended(bytes: *const u8, length: c_int, seed: u64) -> u64;
}

/// The infinities of dates.
const DATE_BEGIN: i64 = i32::MIN as i64;
const DATE_END: i64 = i32::MAX as i64;

/// Bytes of a `vector` or `halfvec` before its elements: varlena header, dimensions, unused.
const VECTOR_HEADER: usize = 8;

/// A value of variable length, decompressed and fetched from the TOAST table where need be.
struct Detoasted {
    varlena: *mut pg_sys::varlena,
    is_copy: bool,
}

impl Detoasted {
    /// With the long header, aligned to four bytes.
    ///
    /// # Safety
    /// `datum` is a varlena, and outlives the result.
    unsafe fn aligned(datum: Datum) -> Self {
        let original = datum.cast_mut_ptr();
        // SAFETY: by the caller.
        let varlena = unsafe { pg_sys::pg_detoast_datum(original) };
        Detoasted {
            varlena,
            is_copy: varlena != original,
        }
    }

    /// With whichever header it has.
    ///
    /// # Safety
    /// As for [`Detoasted::aligned`].
    unsafe fn packed(datum: Datum) -> Self {
        let original = datum.cast_mut_ptr();
        // SAFETY: by the caller.
        let varlena = unsafe { pg_sys::pg_detoast_datum_packed(original) };
        Detoasted {
            varlena,
            is_copy: varlena != original,
        }
    }

    /// The value behind its header.
    fn bytes(&self) -> &[u8] {
        // SAFETY: detoasted above, and alive as long as self.
        unsafe { varlena::varlena_to_byte_slice(self.varlena) }
    }
}

impl Drop for Detoasted {
    fn drop(&mut self) {
        if self.is_copy {
            // SAFETY: the copy was made for us and nobody else knows it.
            unsafe { pg_sys::pfree(self.varlena.cast()) }
        }
    }
}

/// The bytes of a value of variable length.
///
/// # Safety
/// `datum` is a varlena.
pub unsafe fn varlena(datum: Datum) -> Vec<u8> {
    // SAFETY: by the caller.
    unsafe { Detoasted::packed(datum) }.bytes().to_vec()
}

/// A `numeric` as the nearest `double precision`, infinite where it is out of range.
///
/// # Safety
/// `datum` is a numeric.
pub unsafe fn numeric(datum: Datum) -> f64 {
    // SAFETY: by the caller.
    read(unsafe { numeric_text(datum) })
}

/// The same, where a float tells it apart from all others of as many digits.
///
/// # Safety
/// `datum` is a numeric.
pub unsafe fn numeric_of_few_digits(datum: Datum) -> Option<f64> {
    // SAFETY: by the caller.
    let text = unsafe { numeric_text(datum) };
    let digits = text.bytes().filter(u8::is_ascii_digit);
    (digits.count() <= f64::DIGITS as usize).then(|| read(text))
}

/// # Safety
/// `datum` is a numeric.
unsafe fn numeric_text(datum: Datum) -> String {
    // SAFETY: by the caller; the function returns a palloc'd string.
    let text = unsafe { direct_function_call::<&CStr>(pg_sys::numeric_out, &[Some(datum)]) };
    text.map(|text| text.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whatever a numeric prints, Rust reads: digits, NaN and the infinities.
fn read(text: String) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// How many elements an array has.
///
/// # Safety
/// `datum` is an array.
pub unsafe fn array_length(datum: Datum) -> usize {
    // SAFETY: by the caller; the lengths of its dimensions are behind the header.
    unsafe {
        let array = Detoasted::aligned(datum);
        let header = array.varlena.cast::<pg_sys::ArrayType>();
        let lengths = header.add(1).cast::<c_int>();
        pg_sys::ArrayGetNItems((*header).ndim, lengths) as usize
    }
}

/// The elements of an array that are not NULL. They live as long as the array, or as the current
/// memory context where it had to be fetched or decompressed.
///
/// # Safety
/// `datum` is an array.
pub unsafe fn array(datum: Datum) -> Vec<Datum> {
    // SAFETY: by the caller.
    unsafe { elements(datum) }.into_iter().flatten().collect()
}

/// The elements of an array, `None` for NULL; they live as those of [`array`].
///
/// # Safety
/// `datum` is an array.
pub unsafe fn elements(datum: Datum) -> Vec<Option<Datum>> {
    // SAFETY: by the caller. The results are arrays of `count` entries, and ours to free.
    unsafe {
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut width, mut by_value, mut alignment) = (0, false, 0);
        let element = (*array).elemtype;
        pg_sys::get_typlenbyvalalign(element, &mut width, &mut by_value, &mut alignment);
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        pg_sys::deconstruct_array(
            array,
            element,
            width.into(),
            by_value,
            alignment,
            &mut values,
            &mut nulls,
            &mut count,
        );
        let found = (0..count as usize)
            .map(|i| (!*nulls.add(i)).then(|| *values.add(i)))
            .collect();
        pg_sys::pfree(values.cast());
        pg_sys::pfree(nulls.cast());
        found
    }
}

/// A value of type `vector` or `halfvec`.
pub struct Vector {
    value: Detoasted,
}

impl Vector {
    /// Fails where the value is not a vector of such elements.
    ///
    /// # Safety
    /// `datum` is a varlena, and outlives the result.
    pub unsafe fn new(datum: Datum, element: Element) -> Result<Self> {
        // SAFETY: by the caller.
        let value = unsafe { Detoasted::aligned(datum) };
        let bytes = value.bytes();
        let (header, elements) = bytes
            .split_at_checked(VECTOR_HEADER - size_of::<i32>())
            .ok_or_else(|| not_a_vector(bytes.len()))?;
        let dimensions = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        if elements.len() != dimensions * element.size() {
            return Err(not_a_vector(bytes.len()));
        }
        Ok(Vector { value })
    }

    /// The elements as they are in the table, in the machine's byte order; aligned to four bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.value.bytes()[VECTOR_HEADER - size_of::<i32>()..]
    }

    /// Fails, as pgvector does, where the vector does not have that many elements.
    pub fn with_dimensions(self, dimensions: u32, element: Element) -> Result<Self> {
        let own = self.bytes().len() / element.size();
        if own == dimensions as usize {
            return Ok(self);
        }
        Err(other_dimensions(dimensions, own))
    }
}

/// What pgvector says of a vector with other than the column's dimensions.
pub fn other_dimensions(dimensions: u32, own: usize) -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_DATA_EXCEPTION,
        format!("different vector dimensions {dimensions} and {own}"),
    )
    .detail(format!(
        "The indexed column has {dimensions} dimensions, the vector has {own}."
    ))
    .hint("Compare vectors of the same model.")
}

/// The elements of a `vector` or `halfvec`, as they are in the table.
pub fn vector_bytes(value: AnyElement) -> Result<Vec<u8>> {
    let datum = value.datum();
    // SAFETY: functions that take a vector are declared so. Its length tells the type of its
    // elements.
    let vector =
        unsafe { Vector::new(datum, Element::F32).or_else(|_| Vector::new(datum, Element::F16))? };
    Ok(vector.bytes().to_vec())
}

/// A value as a number: what its key stands for, or the key itself in the bits of the number where
/// only equality counts. Intervals are microseconds, in months of 30 days as in comparisons.
pub fn number(value: AnyElement) -> Result<f64> {
    // SAFETY: lookups by identifier.
    let (kind, is_enum) = unsafe {
        let kind = pg_sys::getBaseType(value.oid());
        (kind, pg_sys::type_is_enum(kind))
    };
    let datum = value.datum();
    let attribute = match kind {
        // SAFETY: the value is of that type.
        pg_sys::NUMERICOID => return Ok(unsafe { numeric(datum) }),
        // SAFETY: as above; an interval is a pointer to its structure.
        pg_sys::INTERVALOID => return Ok(interval(unsafe { &*datum.cast_mut_ptr() })),
        pg_sys::VARCHAROID => AttributeType::Text,
        _ if is_enum => AttributeType::Enum,
        kind => AttributeType::from_oid(kind)
            .ok_or_else(|| Error::invalid("an index has no key for such a value"))?,
    };
    // SAFETY: the value is of that type.
    let key = unsafe { key(datum, attribute) };
    Ok(match (attribute.kind(), decode_int(key)) {
        (AttributeKind::Hash, _) => f64::from_bits(key),
        (AttributeKind::Float, _) => decode_float(key),
        (AttributeKind::Date, DATE_BEGIN) | (AttributeKind::Timestamp, i64::MIN) => {
            f64::NEG_INFINITY
        }
        (AttributeKind::Date, DATE_END) | (AttributeKind::Timestamp, i64::MAX) => f64::INFINITY,
        (_, number) => number as f64,
    })
}

fn interval(interval: &pg_sys::Interval) -> f64 {
    const DAY: i128 = 86_400_000_000;
    match (interval.month, interval.day, interval.time) {
        // From PostgreSQL 17 on these are the infinities; before, they are out of range.
        (i32::MAX, i32::MAX, i64::MAX) => f64::INFINITY,
        (i32::MIN, i32::MIN, i64::MIN) => f64::NEG_INFINITY,
        (month, day, time) => {
            ((i128::from(month) * 30 + i128::from(day)) * DAY + i128::from(time)) as f64
        }
    }
}

fn not_a_vector(bytes: usize) -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        format!("a value of {bytes} bytes is not a vector of the column's type"),
    )
}

/// The key of an attribute: its unsigned order is the SQL order of the type, or it is a hash where
/// only equality counts.
///
/// # Safety
/// `datum` is a value of that type, not NULL.
pub unsafe fn key(datum: Datum, attribute: AttributeType) -> u64 {
    let bits = datum.value();
    match attribute {
        AttributeType::Bool => encode_int(i64::from(bits as u8 != 0)),
        AttributeType::Int2 => encode_int(i64::from(bits as i16)),
        AttributeType::Int4 | AttributeType::Date => encode_int(i64::from(bits as i32)),
        AttributeType::Int8 | AttributeType::Timestamp | AttributeType::Timestamptz => {
            encode_int(bits as i64)
        }
        AttributeType::Float4 => encode_float(f64::from(f32::from_bits(bits as u32))),
        AttributeType::Float8 => encode_float(f64::from_bits(bits as u64)),
        // SAFETY: a text is a varlena.
        AttributeType::Text => hash(unsafe { Detoasted::packed(datum) }.bytes()),
        AttributeType::Uuid => {
            // SAFETY: a uuid is a pointer to 16 bytes.
            hash(unsafe { &*datum.cast_mut_ptr::<[u8; 16]>() })
        }
        // A label keeps its identifier through renaming and pg_upgrade.
        AttributeType::Enum => hash(&(bits as u32).to_ne_bytes()),
    }
}

/// The key of a value that only equality counts for, from its bytes.
pub fn hash(bytes: &[u8]) -> u64 {
    // A varlena has less than a gigabyte.
    let length = bytes.len() as c_int;
    // SAFETY: the length is the slice's.
    unsafe { hash_bytes_extended(bytes.as_ptr(), length, 0) }
}

/// The key, in the order of `column`, of a value of type `bound` that the column is compared with.
///
/// # Safety
/// `datum` is a value of type `bound`, not NULL.
pub unsafe fn bound_key(datum: Datum, bound: AttributeType, column: AttributeType) -> Result<u64> {
    use AttributeType::{Date, Float4, Float8, Int2, Int4, Int8, Timestamp, Timestamptz};
    let mut overflow = 0;
    let bits = datum.value();
    let moment = match (column, bound) {
        (Int2 | Int4 | Int8, Int2 | Int4 | Int8) | (Float4 | Float8, Float4 | Float8) => {
            // SAFETY: by the caller.
            return Ok(unsafe { key(datum, bound) });
        }
        // SAFETY: by the caller.
        _ if column == bound => return Ok(unsafe { key(datum, bound) }),
        // SAFETY: the function writes to the one place it is given.
        (Timestamp, Date) => unsafe {
            pg_sys::date2timestamp_opt_overflow(bits as pg_sys::DateADT, &mut overflow)
        },
        // SAFETY: as above.
        (Timestamptz, Date) => unsafe {
            pg_sys::date2timestamptz_opt_overflow(bits as pg_sys::DateADT, &mut overflow)
        },
        // SAFETY: as above.
        (Timestamptz, Timestamp) => unsafe {
            pg_sys::timestamp2timestamptz_opt_overflow(bits as i64, &mut overflow)
        },
        _ => {
            return Err(Error::bug(format!(
                "a {column:?} attribute cannot be compared with a {bound:?}"
            )));
        }
    };
    // What no timestamp can hold still lies between them all and infinity.
    Ok(encode_int(match overflow {
        0 => moment,
        1.. => i64::MAX - 1,
        ..0 => i64::MIN + 1,
    }))
}

/// A uuid from its text. Text that is none is an error of the server.
pub fn parse_uuid(text: &[u8]) -> Uuid {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the function takes a string that ends in a zero and returns a uuid or raises.
    let uuid = unsafe {
        direct_function_call::<Uuid>(pg_sys::uuid_in, &[Some(Datum::from(text.as_ptr()))])
    };
    match uuid {
        Some(uuid) => uuid,
        None => unreachable!("uuid_in returns no NULL"),
    }
}
