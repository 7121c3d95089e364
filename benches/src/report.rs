//! The table and the verdicts: everything as a ratio to the floor of the same run.

#![allow(clippy::print_stdout, reason = "a benchmark speaks")]

use std::time::Duration;

use crate::load::Line;
use crate::proc;
use crate::targets::{Part, Transport};

/// The measured lines of one number of sessions.
pub(crate) type Lines<'a> = [Line<'a>];

/// Sessions at which throughput and latency are held to a target.
const HELD_AT: usize = 16;
/// Sessions at which memory is.
const RSS_HELD_AT: usize = 64;
const RSS_MB_MAX: f64 = 30.0;
/// What all policies together may cost: a tenth of the throughput, and so many microseconds.
const POLICIES_THROUGHPUT_MIN: f64 = 0.90;
const POLICIES_P50_MAX: f64 = 10.0;

/// Prints one row for every line; `others` is the share of the machine that was not ours.
pub(crate) fn table(sessions: usize, others: f64, lines: &Lines<'_>) {
    println!("\nother work on this machine took {:.0} % of its processors", others * 100.0);
    println!(
        "{sessions:>3} sessions         calls/s  p50 us  p99 us  cpu us/call  children  load  \
         RSS MB  x calls  x p50"
    );
    for line in lines {
        let calls: u64 = line.slices.iter().map(|slice| slice.calls).sum();
        let per_call = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        let cpu = line.slices.iter().map(|slice| slice.cpu).sum();
        let children = line.slices.iter().map(|slice| slice.children_cpu).sum();
        let load = line.slices.iter().map(|slice| slice.load_cpu).sum();
        let micros = |share| line.latencies.quantile(share).as_secs_f64() * 1e6;
        let ratio = floor(lines, line.target.transport).map(|floor| ratios(line, floor));
        let (throughput, p50) = ratio.unwrap_or_default();
        println!(
            "{:<5} {:<15} {:>8.0} {:>7.0} {:>7.0} {:>12.1} {:>9.1} {:>5.1} {:>7.1} {:>8.2} {:>6.2}",
            line.target.transport.name(),
            line.target.name,
            throughput_of(line),
            micros(0.5),
            micros(0.99),
            per_call(cpu),
            per_call(children),
            per_call(load),
            proc::peak_rss_mb(line.target.process.pid()),
            throughput,
            p50,
        );
    }
}

/// The verdicts on the gateway, if it was among the lines.
pub(crate) fn verdicts(sessions: usize, lines: &Lines<'_>) -> Vec<String> {
    let mut verdicts = Vec::new();
    for line in lines.iter().filter(|line| line.target.part == Part::Gateway) {
        let transport = line.target.transport;
        let case = format!("gateway/{}-{sessions}", transport.name());
        if let (HELD_AT, Some(floor)) = (sessions, floor(lines, transport)) {
            let (throughput_min, p50_max) = match transport {
                Transport::Http => (0.80, 1.30),
                Transport::Stdio => (0.75, 1.40),
            };
            let (throughput, p50) = ratios(line, floor);
            let met = throughput >= throughput_min;
            let text = format!("{throughput:.2} >={throughput_min:.2}");
            verdicts.push(format!("{case}-throughput {text} {}", word(met)));
            verdicts.push(format!("{case}-p50 {p50:.2} <={p50_max:.2} {}", word(p50 <= p50_max)));
        }
        if sessions == RSS_HELD_AT {
            let rss = proc::peak_rss_mb(line.target.process.pid());
            verdicts.push(format!(
                "{case}-rss-mb {rss:.1} <{RSS_MB_MAX:.0} {}",
                word(rss < RSS_MB_MAX)
            ));
        }
    }
    if sessions == HELD_AT {
        for with in lines.iter().filter(|line| line.target.part == Part::With) {
            verdicts.extend(policies(sessions, lines, with));
        }
    }
    verdicts
}

/// What policies cost, over the same gateway without them.
fn policies(sessions: usize, lines: &Lines<'_>, with: &Line<'_>) -> Vec<String> {
    let transport = with.target.transport;
    let without = lines
        .iter()
        .find(|line| line.target.part == Part::Without && line.target.transport == transport);
    let Some(without) = without else { return Vec::new() };
    let (throughput, _) = ratios(with, without);
    let pairs = with.slices.iter().zip(&without.slices);
    let more =
        pairs.map(|(with, without)| (with.p50.as_secs_f64() - without.p50.as_secs_f64()) * 1e6);
    let more = median(more);
    let case = format!("gateway/{}-{sessions}-policies", transport.name());
    vec![
        format!(
            "{case}-throughput {throughput:.2} >={POLICIES_THROUGHPUT_MIN:.2} {}",
            word(throughput >= POLICIES_THROUGHPUT_MIN)
        ),
        format!(
            "{case}-p50-us {more:+.1} <={POLICIES_P50_MAX:.0} {}",
            word(more <= POLICIES_P50_MAX)
        ),
    ]
}

/// The verdict on wrong answers: the run ends at the first.
pub(crate) fn errors(count: usize) -> String {
    format!("gateway/errors {count} =0 {}", word(count == 0))
}

fn word(met: bool) -> &'static str {
    if met { "ok" } else { "short" }
}

/// The faster of the hops of a transport.
fn floor<'a, 'b>(lines: &'a Lines<'b>, transport: Transport) -> Option<&'a Line<'b>> {
    let of =
        |line: &&Line<'_>| line.target.part == Part::Floor && line.target.transport == transport;
    let faster = |a: &&Line<'_>, b: &&Line<'_>| throughput_of(a).total_cmp(&throughput_of(b));
    lines.iter().filter(of).max_by(faster)
}

fn throughput_of(line: &Line<'_>) -> f64 {
    median(line.slices.iter().map(|slice| slice.calls_per_sec))
}

/// Throughput and p50 over the floor's: each the median of the slices' own ratios, so that a slice
/// the machine disturbed is compared with its neighbour and then outvoted.
fn ratios(line: &Line<'_>, floor: &Line<'_>) -> (f64, f64) {
    let pairs = || line.slices.iter().zip(&floor.slices);
    let throughput = pairs().map(|(own, floor)| own.calls_per_sec / floor.calls_per_sec);
    let p50 = pairs().map(|(own, floor)| own.p50.as_secs_f64() / floor.p50.as_secs_f64());
    (median(throughput), median(p50))
}

/// The one in the middle, or the mean of the two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    match (values.get(low), values.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert!((median([4.0, 1.0, 2.0, 3.0].into_iter()) - 2.5).abs() < 1e-9);
        assert!((median([5.0, 1.0, 2.0].into_iter()) - 2.0).abs() < 1e-9);
        assert!(median([].into_iter()).abs() < 1e-9);
    }
}
