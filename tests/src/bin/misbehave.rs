//! `misbehave [FLAGS]`: a stdio server that is wrong on request, see `system_tests::misbehave`.

use clap::Parser;
use system_tests::misbehave::{self, Args};

fn main() {
    misbehave::run(&Args::parse());
}
