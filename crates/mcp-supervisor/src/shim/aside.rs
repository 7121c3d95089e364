//! A shim that cannot hold a tree together becomes the program.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use super::{not_executed, settle};
use crate::order::Order;

/// Returns only if the program cannot be executed.
#[expect(clippy::unnecessary_wraps, reason = "the other role has errors of its own")]
pub(super) fn run(order: &Order) -> io::Result<ExitCode> {
    if let Err(refused) = settle(order) {
        return Ok(refused);
    }
    let error = Command::new(&order.program).args(&order.args).exec();
    Ok(not_executed(order, &error))
}
