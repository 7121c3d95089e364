//! What is said of the fleet and of each server, as JSON.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mcp_manager::failover::Change;
use mcp_manager::health::{Report, Summary};
use mcp_manager::reload::ReloadStatus;
use mcp_manager::supervisor::Usage;
use mcp_manager::{
    CallStats, CircuitStatus, Failure, Fleet, Hold, ReplicaStatus, Server, State, breaker,
    bulkhead, router,
};
use serde_json::{Value, json};

use crate::spares::spares;

/// Ready to be useful: at least one server answers, or there is none to wait for.
pub(super) fn is_ready(fleet: &Fleet) -> bool {
    let servers = fleet.servers();
    let wanted = servers.iter().map(|server| server.state());
    let wanted = wanted.filter(|state| !matches!(state, State::Disabled | State::Stopped));
    let states: Vec<State> = wanted.collect();
    states.is_empty() || states.iter().any(|state| matches!(state, State::Ready { .. }))
}

/// One server.
pub(super) fn server(server: &Server, now: Instant) -> Value {
    let state = server.state();
    let (ready, era) = match &state {
        State::Ready { replicas, era, .. } => (*replicas, Some(format!("{era:?}").to_lowercase())),
        _ => (0, None),
    };
    let replicas: Vec<Value> =
        server.replica_status().iter().map(|status| replica(status, now)).collect();
    let ((in_flight, waiting), totals) = (server.queue(), server.totals());
    json!({
        "name": server.name(),
        "state": state.word(),
        "transport": server.transport(),
        "era": era,
        "replicas_wanted": server.replicas(),
        "replicas_ready": ready,
        "tools": server.tools(),
        "pids": server.pids(),
        "in_flight": in_flight,
        "waiting": waiting,
        "restarts": totals.restarted,
        "started": totals.started,
        "stopped": totals.stopped,
        "failed": totals.failed,
        "strategy": server.strategy(),
        "failover": server.plan(),
        "failovers": server.failovers().iter().map(|change| failover(change, now)).collect::<Vec<_>>(),
        "calls": calls(&server.call_stats()),
        "gates": server.tool_status().iter().map(|status| json!({
            "tool": status.tool,
            "circuit": status.circuit.as_ref().map(circuit),
            "room": status.room.as_ref().map(room),
        })).collect::<Vec<_>>(),
        "spares": spares(server),
        "error": state.failure().map(failure),
        "replicas": replicas,
        "stderr": server.stderr(),
    })
}

fn replica(status: &ReplicaStatus, now: Instant) -> Value {
    let since = |at: Instant| now.saturating_duration_since(at).as_secs();
    let until = |at: Instant| at.saturating_duration_since(now).as_millis();
    json!({
        "number": status.number,
        "state": status.state,
        "pid": status.pid,
        "url": status.url,
        "restarts": status.restarts,
        "in_flight": status.in_flight,
        "since_seconds": status.since.map(since),
        "next_attempt_ms": status.next_attempt.map(until).and_then(|ms| u64::try_from(ms).ok()),
        "error": status.last_error.as_ref().map(failure),
        "health": status.health.as_ref().map(|report| health(report, now)),
        "standby": status.standby,
        "hold": status.hold.map(|hold| match hold {
            Hold::Ejected { until: end } => json!({ "why": "ejected", "for_ms": until(end) as u64 }),
            _ => json!({ "why": "drained" }),
        }),
        "circuit": status.circuit.as_ref().map(circuit),
        "room": status.room.as_ref().map(room),
        "usage": status.usage.as_ref().map(usage),
        "limits": status.limits.iter().map(|enforced| {
            json!({ "limit": enforced.limit, "by": enforced.by.to_string() })
        }).collect::<Vec<_>>(),
    })
}

/// That others took over.
fn failover(change: &Change, now: Instant) -> Value {
    json!({
        "seconds_ago": now.saturating_duration_since(change.at).as_secs(),
        "from": change.from,
        "to": change.to,
        "why": change.why.word(),
        "recovered_after_ms": change.recovered_after.map(|time| time.as_secs_f64() * 1e3),
    })
}

/// What became of calls: those of the last ten seconds, and in all.
fn calls(stats: &CallStats) -> Value {
    json!({
        "answered": stats.answered,
        "failed": stats.failed,
        "per_second": stats.per_second,
        "error_rate": stats.error_rate,
        "avg_response_time_ms": stats.response_time.map(|time| time.as_secs_f64() * 1e3),
    })
}

/// How many calls there may be, how many there are, and who waits.
fn room(stats: &bulkhead::Stats) -> Value {
    json!({
        "limit": stats.limit,
        "in_flight": stats.in_flight,
        "queued": stats.queued,
        "waited": stats.waited,
        "refused": stats.refused,
        "timed_out": stats.timed_out,
        "longest_wait_ms": stats.longest_wait.as_secs_f64() * 1e3,
    })
}

/// Whether calls are refused, since when and why.
fn circuit(status: &CircuitStatus) -> Value {
    let CircuitStatus { view, stats, .. } = status;
    let is_closed = matches!(view.state, breaker::State::Closed | breaker::State::ForcedClosed);
    json!({
        "state": view.state.name(),
        "for_seconds": view.age.as_secs(),
        "cause": (!is_closed).then(|| view.cause.to_string()),
        "refused": stats.rejections,
        "failures": stats.failures,
        "successes": stats.successes,
        "changes": stats.changes,
    })
}

/// What the process tree of a replica uses: bytes, seconds, numbers.
fn usage(usage: &Usage) -> Value {
    json!({
        "memory_bytes": usage.memory_bytes,
        "cpu_seconds": usage.cpu.as_secs_f64(),
        "processes": usage.processes,
        "threads": usage.threads,
        "zombies": usage.zombies,
        "open_files": usage.open_files,
        "sockets": usage.sockets,
        "uptime_seconds": usage.uptime.as_secs_f64(),
    })
}

fn health(report: &Report, now: Instant) -> Value {
    let ago = |at: Instant| now.saturating_duration_since(at).as_secs();
    json!({
        "state": report.state.word(),
        "checked_seconds_ago": report.checked.map(ago),
        "latency_ms": report.latency.map(|latency| latency.as_secs_f64() * 1e3),
        "trouble": report.trouble,
        "checks": report.checks,
        "checks_failed": report.checks_failed,
    })
}

/// The health of all replicas together.
pub(super) fn overall(fleet: &Fleet) -> Value {
    let servers = fleet.servers();
    let statuses = servers.iter().flat_map(|server| server.replica_status());
    let reports: Vec<Report> = statuses.filter_map(|status| status.health).collect();
    let summary = Summary::of(&reports);
    json!({
        "total": summary.total,
        "healthy": summary.healthy,
        "degraded": summary.degraded,
        "unhealthy": summary.unhealthy,
        "unknown": summary.unknown,
        "avg_response_time_ms": summary.response_time.map(|time| time.as_secs_f64() * 1e3),
    })
}

/// How the fleet is doing, in a few figures.
pub(super) fn figures(fleet: &Fleet) -> Value {
    let servers = fleet.servers();
    let wanted =
        |server: &&Arc<Server>| !matches!(server.state(), State::Disabled | State::Stopped);
    let is_well = |server: &&Arc<Server>| matches!(server.state(), State::Ready { .. });
    let total = servers.iter().filter(wanted).count();
    let healthy = servers.iter().filter(wanted).filter(is_well).count();
    let stats: Vec<CallStats> = servers.iter().map(|server| server.call_stats()).collect();
    let rate: f64 = stats.iter().map(|stats| stats.per_second).sum();
    let weighed = |part: &dyn Fn(&CallStats) -> f64| {
        let sum: f64 = stats.iter().map(|stats| part(stats) * stats.per_second).sum();
        if rate > 0.0 { sum / rate } else { 0.0 }
    };
    let millis =
        |stats: &CallStats| stats.response_time.map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let mut strategies: Vec<_> = servers.iter().map(|server| server.strategy()).collect();
    strategies.sort_unstable();
    strategies.dedup();
    json!({
        "is_healthy": healthy == total,
        "total_servers": total,
        "healthy_servers": healthy,
        "current_strategy": strategies.join(", "),
        "queue_size": servers.iter().map(|server| server.queue().1).sum::<usize>(),
        "avg_response_time_ms": weighed(&millis),
        "throughput_per_second": rate,
        "error_rate": weighed(&|stats| stats.error_rate),
    })
}

/// How often each rule has held.
pub(super) fn rules(stats: &router::Stats) -> Value {
    let rules: Vec<Value> = stats
        .rules
        .iter()
        .map(|rule| json!({ "name": rule.name, "matches": rule.matches }))
        .collect();
    json!({
        "rules": rules,
        "unmatched": stats.unmatched,
        "denied": stats.denied,
        "mirrored": stats.mirrored,
    })
}

/// What is known of the file that the fleet comes from.
pub(super) fn config(status: &ReloadStatus) -> Value {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
    json!({
        "path": status.path.display().to_string(),
        "loaded_at": seconds(status.loaded_at),
        "ok": status.ok,
        "error": status.error,
        "generation": status.generation,
        "needs_restart": status.needs_restart,
    })
}

/// A failure as operators see it: its stable code, and what it says.
pub(super) fn failure(failure: &Failure) -> Value {
    json!({ "code": failure.code(), "message": failure.to_string() })
}
