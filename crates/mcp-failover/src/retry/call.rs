//! What a call is, what an attempt at it is, and what became of one: the words of both sides.

use std::time::{Duration, Instant};

/// What carrying a call out twice would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whoever calls has to know which of them it is")]
pub enum Safety {
    /// Harm, for all that is known. It is attempted again only if no attempt was ever sent.
    Unsafe,
    /// The same as carrying it out once (RFC 9110, 9.2.2). It may be attempted again.
    Idempotent,
    /// Nothing: it reads. It may also be attempted at two places at a time.
    ReadOnly,
}

/// A call that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a policy does not say")]
pub struct Call {
    /// What carrying it out twice would do.
    pub safety: Safety,
    /// When its caller stops waiting, if ever.
    pub deadline: Option<Instant>,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the first, after another, or beside another")]
pub enum Kind {
    /// It is the first.
    First,
    /// All before it have failed.
    Retry,
    /// One before it is not answered yet, and later than most are.
    Hedge,
}

/// One attempt at a call. To pick somebody else than before is up to who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "which one, and why")]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Why it is made.
    pub kind: Kind,
}

/// What became of an attempt, as whoever made it judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "it was answered or it was not")]
pub enum Verdict {
    /// This is what the call comes to, be it an error: another attempt would come to the same.
    Answer,
    /// Another attempt could do better.
    Failure(Failure),
}

/// An attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what decides whether there is another")]
pub struct Failure {
    /// Whether it may have been carried out.
    pub sent: Sent,
    /// How long it was told to wait before it asks again, such as by `Retry-After`. Leave it out if the
    /// next attempt goes to somebody else.
    pub retry_after: Option<Duration>,
}

/// Whether a request has reached the one who carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "what is not provably never is perhaps")]
pub enum Sent {
    /// Provably not: there was no connection, or no byte of it was taken.
    Never,
    /// It may have.
    Perhaps,
}

impl Failure {
    /// One after which nobody knows whether the call was carried out.
    pub const PERHAPS: Self = Self { sent: Sent::Perhaps, retry_after: None };
    /// One of a request that provably never left.
    pub const NEVER_SENT: Self = Self { sent: Sent::Never, retry_after: None };
}
