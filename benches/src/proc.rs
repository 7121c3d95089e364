//! What Linux says of other processes: processor time, peak memory, children.

use std::fs;
use std::time::Duration;

/// `USER_HZ`, in which `/proc/PID/stat` counts; 100 on every architecture this runs on.
const TICKS_PER_SEC: u32 = 100;

/// User and system time of a process so far, its ended children's not included.
pub(crate) fn cpu(pid: u32) -> Duration {
    // Behind the command, which may hold anything: state is field 3, utime 14 and stime 15.
    let ticks = fields(pid).map_or(0, |fields| {
        fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum()
    });
    Duration::from_secs(1) * ticks / TICKS_PER_SEC
}

/// The most memory that was resident at once, in megabytes of 2^20.
pub(crate) fn peak_rss_mb(pid: u32) -> f64 {
    status_kib(pid, "VmHWM:") / 1024.0
}

/// The memory that is resident now, in KiB.
pub(crate) fn rss_kib(pid: u32) -> f64 {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or_default()
}

/// Every process below `pid`.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(&above) = found.get(next) {
        found.extend(parents.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// The processes below `pid` that run this program.
pub(crate) fn own_below(pid: u32) -> Vec<u32> {
    let own = fs::read_link("/proc/self/exe").ok();
    let program = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let same = |pid: &u32| own.is_some() && program(pid) == own;
    descendants(pid).into_iter().filter(same).collect()
}

/// What all processors together did so far: busy, and busy or idle.
pub(crate) fn machine() -> (Duration, Duration) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in the first two.
    let ticks: Vec<u64> = line.split(' ').filter_map(|field| field.parse().ok()).take(8).collect();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    let all: u64 = ticks.iter().sum();
    let time = |ticks: u64| Duration::from_millis(ticks * 1000 / u64::from(TICKS_PER_SEC));
    (time(all - idle), time(all))
}

fn parent(pid: u32) -> Option<u32> {
    fields(pid)?.split(' ').nth(1)?.parse().ok()
}

/// `/proc/PID/stat` from the third field on.
fn fields(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_below_its_parent_and_has_memory() {
        let own = std::process::id();
        let above = parent(own).unwrap();
        assert!(descendants(above).contains(&own));
        assert!(own_below(above).contains(&own));
        assert!(own_below(own).is_empty(), "it has no children");
        assert!(peak_rss_mb(own) > 0.5);
        assert_eq!(cpu(u32::MAX), Duration::ZERO);
    }
}
