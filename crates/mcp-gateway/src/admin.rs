//! The admin port: is it alive, is it ready, how is it doing, and what is to be changed.

mod act;
mod logs;
mod route;
mod status;
mod token;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use mcp_manager::reload::Reloader;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use self::act::Refused;
use self::route::{Missing, Route};
pub use self::token::AdminToken;
use crate::endpoint::Endpoint;
use crate::respond::{self, Answer};

/// The longest body of a request.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Answers the admin port.
#[derive(Debug)]
pub(crate) struct Admin {
    endpoint: Arc<Endpoint>,
    started: Instant,
    door: Door,
    pub(crate) reloader: OnceLock<Reloader>,
}

/// Who may change something.
#[derive(Debug)]
pub(crate) enum Door {
    /// Whoever shows this.
    Token(AdminToken),
    /// Nobody, and why.
    Closed(&'static str),
}

impl Admin {
    pub(crate) fn new(endpoint: Arc<Endpoint>, door: Door) -> Self {
        Self { endpoint, started: Instant::now(), door, reloader: OnceLock::new() }
    }

    pub(crate) async fn handle(&self, request: http::Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let route = match Route::of(&head.method, head.uri.path()) {
            Ok(route) => route,
            Err(missing) => return not_there(missing),
        };
        if !route.is_open()
            && let Err(refused) = self.may_pass(&head.headers)
        {
            return refusal(&refused);
        }
        let body = if head.method == Method::GET {
            Bytes::new()
        } else {
            match self.read(body).await {
                Ok(body) => body,
                Err(refused) => return refusal(&refused),
            }
        };
        match std::str::from_utf8(&body) {
            Ok(body) => self.answer(route, head.uri.query().unwrap_or_default(), body).await,
            Err(_) => refusal(&bad("the body is no UTF-8")),
        }
    }

    async fn answer(&self, route: Route, query: &str, body: &str) -> Answer {
        let fleet = &self.endpoint.fleet;
        let found = |name: &str| {
            let missing = || mcp_manager::Failure::ServerNotFound { name: name.to_owned() };
            fleet.server(name).ok_or_else(|| Refused::from(missing()))
        };
        let outcome = match route {
            Route::Health => return respond::text(StatusCode::OK, "ok\n"),
            Route::Ready => return self.ready(),
            Route::Status => Ok(self.status()),
            Route::Server(name) => {
                found(&name).map(|server| status::server(&server, Instant::now().into_std()))
            }
            Route::Logs(name) => match (found(&name), logs::Wanted::of(query)) {
                (Ok(server), Some(wanted)) => {
                    return respond::lines(logs::body(&server, wanted));
                }
                (Ok(_), None) => Err(bad("write ?lines=100&follow=1")),
                (Err(refused), _) => Err(refused),
            },
            Route::Add => act::add(fleet, body).await,
            Route::Update(name) => act::update(fleet, &name, body).await,
            Route::Remove(name) => fleet
                .remove(&name)
                .await
                .map(|()| json!({ "removed": name }))
                .map_err(Refused::from),
            Route::Act(action, name) => act::act(fleet, action, &name).await,
            Route::Scale(name) => act::scale(fleet, &name, body).await,
            Route::Replica(what, name, number) => {
                act::replica(fleet, what, &name, number, body).await
            }
            Route::Circuit(name) => act::circuit(fleet, &name, body),
            Route::FailOver(name) => act::fail_over(fleet, &name, body),
            Route::FailBack(name) => {
                let active = fleet.fail_back(&name);
                active
                    .map(|active| json!({ "server": name, "active": active }))
                    .map_err(Refused::from)
            }
            Route::Bulk => act::bulk(fleet, body).await,
            Route::Reload => act::reload(self.reloader.get()).await,
        };
        match outcome {
            Ok(answer) => respond::json(StatusCode::OK, answer.to_string()),
            Err(refused) => refusal(&refused),
        }
    }

    fn ready(&self) -> Answer {
        // Whoever sends us clients is to know before they fail.
        if self.endpoint.is_stopping() {
            return respond::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
        }
        if status::is_ready(&self.endpoint.fleet) {
            return respond::text(StatusCode::OK, "ready\n");
        }
        respond::text(StatusCode::SERVICE_UNAVAILABLE, "no server is ready yet\n")
    }

    fn status(&self) -> Value {
        let (fleet, now) = (&self.endpoint.fleet, Instant::now().into_std());
        let servers: Vec<Value> =
            fleet.servers().iter().map(|server| status::server(server, now)).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "ready": status::is_ready(fleet) && !self.endpoint.is_stopping(),
            "sessions": self.endpoint.sessions.len(),
            "figures": status::figures(fleet),
            "health": status::overall(fleet),
            "config": self.reloader.get().map(|reloader| status::config(&reloader.status())),
            "rules": fleet.rule_stats().as_ref().map(status::rules),
            "servers": servers,
        })
    }

    fn may_pass(&self, headers: &HeaderMap) -> Result<(), Refused> {
        match &self.door {
            Door::Closed(why) => Err(Refused::new(StatusCode::FORBIDDEN, "ADMIN_API_OFF", *why)),
            Door::Token(token) if token.is_in(headers) => Ok(()),
            Door::Token(_) => {
                let why = "show the admin token: Authorization: Bearer TOKEN; `up` says in which file it is";
                Err(Refused::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", why))
            }
        }
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, Refused> {
        let limit = self.endpoint.options.body_timeout;
        let read = timeout(limit, Limited::new(body, BODY_BYTES_MAX).collect()).await;
        match read {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => {
                let why =
                    format!("the body cannot be read, or has more than {BODY_BYTES_MAX} bytes");
                Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "INVALID_PARAMS", why))
            }
            Err(_) => {
                let why = format!("the body did not come within {limit:?}");
                Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "TIMEOUT", why))
            }
        }
    }
}

fn bad(why: &str) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, "INVALID_PARAMS", why)
}

fn refusal(refused: &Refused) -> Answer {
    let error = json!({ "error": { "code": refused.code, "message": refused.message } });
    let mut answer = respond::json(refused.status, error.to_string());
    if refused.status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn not_there(missing: Missing) -> Answer {
    match missing {
        Missing::Method(allowed) => {
            let mut answer = respond::empty(StatusCode::METHOD_NOT_ALLOWED);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        Missing::Path => {
            respond::text(StatusCode::NOT_FOUND, "try /healthz, /readyz, /status or /servers\n")
        }
    }
}
