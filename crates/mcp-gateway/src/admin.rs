//! The admin port: is it alive, is it ready, how is it doing.

use std::sync::Arc;

use http::{Method, StatusCode};
use hyper::body::Incoming;
use mcp_manager::{Fleet, Server, State};
use mcp_wire::quoted;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::respond::{self, Answer};
use crate::spares::spares;

/// Answers the admin port.
#[derive(Debug)]
pub(crate) struct Admin {
    endpoint: Arc<Endpoint>,
    started: Instant,
}

impl Admin {
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint, started: Instant::now() }
    }

    pub(crate) fn handle(&self, request: &http::Request<Incoming>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return respond::empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let fleet = &self.endpoint.fleet;
        match request.uri().path() {
            "/healthz" => respond::text(StatusCode::OK, "ok\n"),
            // Whoever sends us clients is to know before they fail.
            "/readyz" if self.endpoint.is_stopping() => {
                respond::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            }
            "/readyz" if is_ready(fleet) => respond::text(StatusCode::OK, "ready\n"),
            "/readyz" => respond::text(StatusCode::SERVICE_UNAVAILABLE, "no server is ready yet\n"),
            "/status" => respond::json(StatusCode::OK, self.status()),
            _ => respond::text(StatusCode::NOT_FOUND, "try /healthz, /readyz or /status\n"),
        }
    }

    fn status(&self) -> String {
        let servers: Vec<String> = self.endpoint.fleet.servers().iter().map(describe).collect();
        format!(
            r#"{{"version":"{}","uptime_seconds":{},"ready":{},"sessions":{},"servers":[{}]}}"#,
            env!("CARGO_PKG_VERSION"),
            self.started.elapsed().as_secs(),
            is_ready(&self.endpoint.fleet) && !self.endpoint.is_stopping(),
            self.endpoint.sessions.len(),
            servers.join(","),
        )
    }
}

/// Ready to be useful: at least one server answers, or there is none to wait for.
fn is_ready(fleet: &Fleet) -> bool {
    let servers = fleet.servers();
    let wanted = servers.iter().map(|server| server.state());
    let wanted = wanted.filter(|state| !matches!(state, State::Disabled | State::Stopped));
    let states: Vec<State> = wanted.collect();
    states.is_empty() || states.iter().any(|state| matches!(state, State::Ready { .. }))
}

fn describe(server: &Arc<Server>) -> String {
    let state = server.state();
    let pids: Vec<String> = server.pids().iter().map(u32::to_string).collect();
    let stderr: Vec<String> = server.stderr().iter().map(|line| quoted(line)).collect();
    let (ready, era) = match &state {
        State::Ready { replicas, era, .. } => {
            (*replicas, quoted(&format!("{era:?}").to_lowercase()))
        }
        _ => (0, "null".to_owned()),
    };
    let error = match state.failure() {
        Some(failure) => {
            format!(r#"{{"code":"{}","message":{}}}"#, failure.code(), quoted(&failure.to_string()))
        }
        None => "null".to_owned(),
    };
    format!(
        r#"{{"name":{},"state":"{}","transport":"{}","era":{era},"replicas":{},"replicas_ready":{ready},"tools":{},"pids":[{}],"spares":{},"error":{error},"stderr":[{}]}}"#,
        quoted(server.name()),
        state.word(),
        server.transport(),
        server.replicas(),
        server.tools(),
        pids.join(","),
        spares(server),
        stderr.join(","),
    )
}
