//! Decides by rules where a call goes, and foretells how long it will take there.
//!
//! # The idea
//!
//! Some calls are not to go where their name says: what writes goes to another server than what reads,
//! a tenth goes to the new version, one client is refused one tool. Whoever operates a manager writes
//! this down as rules, and the first that holds wins. Ten thousand of them cost hardly more than ten,
//! because a call looks at those only that name what it names.
//!
//! ```text
//!   method, tool, server,       shapes of rules             first that holds
//!   client, tags, arguments ──▶ one look in each ──▶ few rules ──▶ pass, route, split, deny
//!                               hash table           in order      + mirror, priority, fallback
//! ```
//!
//! # What holds
//!
//! - What is decided is what a scan through all rules from the first on would decide.
//! - The same call with the same key is decided the same way.
//! - A rule that denies is not dodged by arguments that cannot be read: they satisfy its conditions.
//! - A decision waits for no lock. It allocates nothing, unless it has to read arguments that nest or
//!   are escaped.
//! - Rules, servers and what is remembered of response times are bounded.
//!
//! # The parts
//!
//! - [`Router`] decides by [`Rule`]s, which a file can hold (feature `serde`).
//! - [`Capabilities`] knows which server has which tools and tags.
//! - [`Predictor`] foretells response times and makes deadlines of them.
//! - [`Stats`] and [`PredictorStats`] are what was counted.
//!
//! # Example
//!
//! ```
//! use mcp_router::{Action, Argument, Ask, Condition, Config, Router, Rule, Verdict};
//!
//! let mut big = Rule::new("large files go to the large server");
//! big.when.tools = vec!["write_*".into()];
//! big.when.arguments = vec![Argument::new("/size", Condition::Greater(1e6))];
//! big.then = Action::Route("large".into());
//! let router = Router::new(vec![big], Config::default())?;
//!
//! let mut ask = Ask::new("tools/call");
//! ask.tool = Some("write_file");
//! ask.arguments = r#"{"path":"a","size":2000000}"#;
//! assert_eq!(router.route(&ask).verdict, Verdict::Route("large"));
//! ask.arguments = r#"{"path":"a","size":2}"#;
//! assert_eq!(router.route(&ask).verdict, Verdict::Pass);
//! # Ok::<(), mcp_router::RuleError>(())
//! ```
//!
//! # What it does not do
//!
//! It sends nothing, and does not know whether a server is there: it says where a call is meant to go.
//! It reads no clock and has no random source; it is told the time and the bits.

mod ask;
mod capabilities;
mod check;
mod compiled;
mod config;
mod glob;
mod hash;
mod histogram;
mod index;
mod json;
mod pointer;
mod predictor;
mod router;
mod rule;
mod stats;

pub use crate::ask::{Ask, Decision, Verdict};
pub use crate::capabilities::{Capabilities, Offer, OfferError, SERVERS_MAX};
pub use crate::check::{Problem, RuleError};
pub use crate::config::Config;
pub use crate::predictor::{Allowance, Key, Predictor, PredictorConfig, PredictorConfigError};
pub use crate::router::{Router, Warning};
pub use crate::rule::{Action, Argument, Condition, Match, Mirror, Rule, Scalar, Share, Tags};
pub use crate::stats::{PredictorStats, RuleStats, Stats};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
