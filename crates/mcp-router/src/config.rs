//! How large rules may be.

/// What bounds a [`Router`](crate::Router). Rules beyond it are refused by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How many rules. Default: 16,384, some 1 KiB each.
    pub rules_max: usize,
    /// How many entries in any one list of a rule. Default: 256. More than 10,000 means 10,000.
    pub list_max: usize,
    /// How long any one text of a rule is, in bytes. Default: 1,024.
    pub text_max: usize,
    /// How many steps a pointer has. Default: 16. More than 100 means 100: a reader of JSON gives up
    /// not far beyond.
    pub pointer_depth_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { rules_max: 16_384, list_max: 256, text_max: 1_024, pointer_depth_max: 16 }
    }
}
