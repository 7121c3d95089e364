//! Alone in its process, because it counts what the process holds.
#![cfg(all(feature = "tokio", feature = "shim"))]

mod common;

use std::fs;

use common::Mark;

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Children of any state, zombies among them.
fn children() -> usize {
    let threads = fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let lists = threads.map(|task| fs::read_to_string(task.path().join("children")));
    lists.map(|list| list.unwrap_or_default().split_whitespace().count()).sum()
}

#[tokio::test]
async fn a_hundred_cycles_leave_no_descriptor_and_no_zombie() {
    let mark = Mark::new();
    let mut baseline = None;
    for round in 0..=100 {
        let spec = if round % 2 == 0 { mark.shimmed("cat") } else { mark.sh("cat") };
        let process = mark.plant(&spec, 1).await;
        process.stop().await;
        drop(process);
        assert_eq!(children(), 0);
        let now = descriptors();
        assert_eq!(*baseline.get_or_insert(now), now, "after round {round}");
    }
    mark.assert_gone();
}
