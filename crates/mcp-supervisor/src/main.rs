//! The shim as an executable of its own; see `mcp_supervisor::shim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mcp_supervisor::shim::main(std::env::args_os().skip(1))
}
