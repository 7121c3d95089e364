//! What a peer may send us at most.

/// Bounds on one message, checked before anything looks at its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message. Default: 16 MiB, room for a picture in base64.
    ///
    /// Memory for a message is taken as its bytes arrive, so this is what a hostile peer can make
    /// us hold per connection. At most 4 GiB.
    pub frame_bytes: usize,

    /// How deep arrays and objects may nest. Default, and at most: 128, the depth at which common
    /// parsers stop.
    ///
    /// A deeper message would only crash or be refused further on.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame_bytes: 16 << 20, depth: 128 }
    }
}
