//! Errors as Postgres reports them.
//!
//! Whoever reads an error wants to know whether to change the statement, to try again, to make
//! room, to rebuild the index or to report a bug. The kind of an [`Error`] says which, and decides
//! the SQLSTATE. Code below the doors of the extension returns errors; only a door raises them,
//! when nothing is held that unwinding would have to give back.

use crate::pg::text::for_message;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// What went wrong, and who can do something about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    kind: Kind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

/// Who can do something about an error.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// The user: the statement or a setting cannot be meant like that.
    Mistake(PgSqlErrorCode),
    /// Nobody yet: others are at it, and trying again may succeed.
    Contention,
    /// The administrator: there is no room left.
    Exhausted,
    /// The owner of the index: what is stored breaks its own rules.
    Corruption,
    /// The authors.
    Bug,
}

/// A result of the extension.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// A mistake in a statement or setting, with the SQLSTATE that Postgres uses for its like.
    pub fn mistake(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Error::new(Kind::Mistake(code), message)
    }

    /// An argument or option that is out of range (22023).
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::mistake(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message)
    }

    /// Others hold what is needed (55P03).
    pub fn contention(message: impl Into<String>) -> Self {
        Error::new(Kind::Contention, message).hint("Try again.")
    }

    /// Shared memory is too small (53200); `bytes` more were needed.
    pub fn exhausted(message: impl Into<String>, bytes: u64) -> Self {
        let megabytes = bytes.div_ceil(1 << 20);
        Error::new(Kind::Exhausted, message)
            .detail(format!("{megabytes} MB more of shared memory are needed."))
            .hint("Increase chronomind.shared_memory_size and restart the server.")
    }

    /// The index is damaged (XX002); the message names the block or the record.
    pub fn corruption(index: &str, what: impl Into<String>) -> Self {
        Error::new(
            Kind::Corruption,
            format!("index \"{index}\" is damaged: {}", what.into()),
        )
        .hint("REINDEX rebuilds it from the table.")
    }

    /// A state that the code rules out (XX000).
    pub fn bug(message: impl Into<String>) -> Self {
        Error::new(Kind::Bug, message).hint("This is a bug in chronomind. Please report it.")
    }

    /// Adds the circumstances: full sentences.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says what to do about it: full sentences.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The SQLSTATE that clients see.
    pub fn code(&self) -> PgSqlErrorCode {
        match self.kind {
            Kind::Mistake(code) => code,
            Kind::Contention => PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
            Kind::Exhausted => PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
            Kind::Corruption => PgSqlErrorCode::ERRCODE_INDEX_CORRUPTED,
            Kind::Bug => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        }
    }

    /// Ends the statement with this error.
    #[track_caller]
    pub fn raise(self) -> ! {
        let mut report = ErrorReport::new(self.code(), for_message(self.message), "");
        if let Some(detail) = self.detail {
            report = report.set_detail(for_message(detail));
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(for_message(hint));
        }
        report.report(PgLogLevel::ERROR);
        unreachable!("a report at level ERROR does not return")
    }
}

/// Raises the error of a result.
pub trait OrRaise<T> {
    /// The value, or the end of the statement. Nothing that a process shares with others may be
    /// held here.
    fn or_raise(self) -> T;
}

impl<T, E: Into<Error>> OrRaise<T> for std::result::Result<T, E> {
    #[track_caller]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => error.into().raise(),
        }
    }
}

impl From<chronomind_core::Error> for Error {
    fn from(error: chronomind_core::Error) -> Self {
        use chronomind_core::Error as Core;
        match error {
            Core::OutOfMemory { bytes } => Error::exhausted(
                "chronomind's shared memory is full",
                u64::try_from(bytes).unwrap_or(u64::MAX),
            ),
            Core::TooManyRecords => Error::mistake(
                PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                "the index cannot hold more rows",
            )
            .detail(error.to_string())
            .hint("Partition the table, with an index on each partition."),
            Core::Stopped => Error::mistake(
                PgSqlErrorCode::ERRCODE_QUERY_CANCELED,
                "canceling statement on request",
            ),
            Core::Inconsistent { .. } => Error::bug(format!("the graph is inconsistent: {error}")),
        }
    }
}
