//! What can go wrong in the engine, told apart by who can do something about it.

use std::fmt;

/// An error of the engine. User mistakes never reach this far: the Postgres side checks its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The region has no run of free units that large; `bytes` were asked for.
    OutOfMemory {
        /// Size of the extent that could not be claimed.
        bytes: usize,
    },
    /// The index has reached the most records an id can name.
    TooManyRecords,
    /// The interrupt check asked the work to stop.
    Stopped,
    /// A structure breaks one of its invariants; `what` names the invariant.
    Inconsistent {
        /// The broken invariant.
        what: &'static str,
        /// The id at which it was seen to be broken.
        id: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OutOfMemory { bytes } => {
                write!(f, "the shared region has no free run of {bytes} bytes")
            }
            Error::TooManyRecords => write!(f, "the index holds as many records as ids can name"),
            Error::Stopped => write!(f, "stopped by the interrupt check"),
            Error::Inconsistent { what, id } => write!(f, "{what} (id {id})"),
        }
    }
}

impl std::error::Error for Error {}

/// A result of the engine.
pub type Result<T> = std::result::Result<T, Error>;

/// Asked often in every loop that can run long; true means "stop now".
pub type Interrupt<'a> = dyn FnMut() -> bool + 'a;

/// Lets some time pass while others have to end what they are at; false means "wait no longer".
pub type Pause<'a> = dyn FnMut() -> bool + 'a;
