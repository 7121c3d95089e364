//! The gateway benchmark: see the library's manual.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::main()
}
