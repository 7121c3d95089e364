//! Why a process was ended, where it did not end by itself.

use std::fmt;

/// Why this crate has ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// It was asked to, or nobody held it any more.
    Stop,
    /// Its tree used more memory than [`memory_bytes`](crate::Limits::memory_bytes).
    Memory {
        /// Bytes, when it was found out.
        used: u64,
        /// Bytes.
        limit: u64,
    },
    /// Its tree had more processes than [`processes`](crate::Limits::processes).
    Processes {
        /// How many, when it was found out.
        used: u64,
        /// How many it might have.
        limit: u64,
    },
    /// A process of it had all descriptors open that [`open_files`](crate::Limits::open_files) leaves
    /// it, and still had a second later.
    OpenFiles {
        /// How many it might have.
        limit: u64,
    },
}

impl Cause {
    /// Whether it is a limit that was passed.
    pub fn is_limit(self) -> bool {
        self != Self::Stop
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stop => f.write_str("stopped"),
            Self::Memory { used, limit } => {
                write!(f, "used {} of memory, limit {}", Bytes(*used), Bytes(*limit))
            }
            Self::Processes { used, limit } => write!(f, "had {used} processes, limit {limit}"),
            Self::OpenFiles { limit } => write!(f, "had {limit} open files, which is the limit"),
        }
    }
}

struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tenths of a MiB, rounded up so that what is over a limit never reads like the limit.
        let tenths = u128::from(self.0).saturating_mul(10).div_ceil(1 << 20);
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_reason() {
        let cause = Cause::Memory { used: (64 << 20) + 1, limit: 64 << 20 };
        assert_eq!(cause.to_string(), "used 64.1 MiB of memory, limit 64.0 MiB");
        let cause = Cause::Processes { used: 11, limit: 10 };
        assert_eq!(cause.to_string(), "had 11 processes, limit 10");
        assert!(cause.is_limit() && !Cause::Stop.is_limit());
    }
}
