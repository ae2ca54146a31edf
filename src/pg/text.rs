//! Names and texts of the server as strings of Rust, in any encoding that a database may have.
//!
//! Rust's strings are UTF-8; what the server has are bytes in the encoding of the database. Where that
//! is not UTF-8 a string here has a character for each byte: nothing is lost, no two become equal, and
//! nothing depends on a conversion that may fail. ASCII is itself in every encoding. Whatever comes from
//! the server goes through [`from_server`], and whatever goes to it through [`to_server`]; messages,
//! which the server takes as UTF-8 strings from pgrx, go through [`for_message`].

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::pg_sys;

/// Whether the strings of this database are those of Rust.
fn is_utf8() -> bool {
    // SAFETY: a number that does not change in a process.
    unsafe { pg_sys::GetDatabaseEncoding() == pg_sys::pg_enc::PG_UTF8 as i32 }
}

/// A text of the server's as a string.
pub fn from_server(bytes: &[u8]) -> String {
    decode(bytes, is_utf8())
}

/// The text of the server's that a string stands for.
pub fn to_server(text: &str) -> Cow<'_, [u8]> {
    encode(text, is_utf8())
}

/// A string for a message: as it is, or with an escape for each byte that the server could take for
/// another character.
pub fn for_message(text: String) -> String {
    if is_utf8() || text.is_ascii() {
        return text;
    }
    text.chars()
        .map(|letter| match letter.is_ascii() {
            true => letter.to_string(),
            false => format!("\\x{:02X}", u32::from(letter)),
        })
        .collect()
}

/// A name out of a catalog.
pub fn name(name: &pg_sys::NameData) -> String {
    // SAFETY: a name ends in a zero.
    from_server(unsafe { CStr::from_ptr(name.data.as_ptr()) }.to_bytes())
}

fn decode(bytes: &[u8], is_utf8: bool) -> String {
    match is_utf8 {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => bytes.iter().map(|&byte| char::from(byte)).collect(),
    }
}

fn encode(text: &str, is_utf8: bool) -> Cow<'_, [u8]> {
    if is_utf8 || text.is_ascii() {
        return Cow::Borrowed(text.as_bytes());
    }
    // All characters that are not ours come from bytes, and ours are ASCII.
    text.chars()
        .map(|letter| u8::try_from(letter).unwrap_or(b'?'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let bytes: Vec<u8> = (1..=255).collect();
        let text = decode(&bytes, false);
        assert_eq!(text.chars().count(), 255);
        assert_eq!(&*encode(&text, false), &bytes[..]);
    }

    #[test]
    fn utf8_is_itself() {
        let text = decode("größe".as_bytes(), true);
        assert_eq!(text, "größe");
        assert_eq!(&*encode(&text, true), "größe".as_bytes());
    }
}
