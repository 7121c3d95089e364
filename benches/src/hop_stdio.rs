//! The floor over stdio: a hop that starts one child per session, maps ids and does nothing else.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;

use crate::body::whole;
use crate::child::Child;
use crate::serve::{Answer, empty, json, runtime, serve};
use crate::upstream_http::{SESSION, fresh_session};

/// Only a modern request has this header.
const METHOD: HeaderName = HeaderName::from_static("mcp-method");

/// Serves until killed; every session gets a child of its own, started as `command`.
pub(crate) fn run(command: Vec<String>, workers: usize) -> io::Result<()> {
    let hop = Arc::new(Hop { command, children: Mutex::default() });
    runtime(workers)?.block_on(serve(move |request| {
        let hop = Arc::clone(&hop);
        async move { hop.pass(request).await.unwrap_or_else(|_| empty(StatusCode::BAD_GATEWAY)) }
    }))
}

struct Hop {
    command: Vec<String>,
    children: Mutex<HashMap<HeaderValue, Child>>,
}

impl Hop {
    async fn pass(&self, request: Request<Incoming>) -> Result<Answer, String> {
        match *request.method() {
            Method::POST => {}
            Method::DELETE => return Ok(empty(StatusCode::OK)),
            _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
        }
        let (head, body) = request.into_parts();
        let message = whole(body).await.map_err(|error| error.to_string())?;
        // A modern client has no session: all of them share the child of no name.
        let modern = head.headers.contains_key(METHOD).then_some(HeaderValue::from_static(""));
        let named = head.headers.get(SESSION).or(modern.as_ref());
        let (child, opened) = self.child(named).map_err(|error| error.to_string())?;
        let Some(answer) = child.send(&message).await? else {
            return Ok(empty(StatusCode::ACCEPTED));
        };
        let mut answer = json(StatusCode::OK, answer);
        if let Some(session) = opened {
            answer.headers_mut().insert(SESSION, session);
        }
        Ok(answer)
    }

    /// The child of a session, and the session's new name if this message opened it.
    fn child(&self, named: Option<&HeaderValue>) -> io::Result<(Child, Option<HeaderValue>)> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = named.and_then(|name| children.get(name)) {
            return Ok((child.clone(), None));
        }
        let child = Child::start(&self.command)?;
        let session = named.cloned().unwrap_or_else(fresh_session);
        children.insert(session.clone(), child.clone());
        Ok((child, named.is_none().then_some(session)))
    }
}
