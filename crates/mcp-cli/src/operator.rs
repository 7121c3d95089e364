//! Asks the admin port of a running manager.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use mcp_gateway::AdminToken;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::To;
use crate::exit::{Error, Exit};
use crate::source::ADMIN;
use crate::token;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The admin port, and what opens it.
pub(crate) struct Operator {
    authority: String,
    port: u16,
    token: Option<AdminToken>,
    /// Why there is none.
    missing: Option<String>,
}

impl Operator {
    /// The manager that `to` names.
    pub(crate) fn of(to: &To) -> Result<Self, Error> {
        let url = to.admin.clone().unwrap_or_else(|| format!("http://{ADMIN}"));
        let wrong =
            || Error::usage(format!("{url:?} is no admin port: write http://127.0.0.1:7421"));
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http"));
        let authority = authority.ok_or_else(wrong)?;
        let port = authority.port_u16().unwrap_or(80);
        let path = to.token_file.clone().or_else(|| token::usual(port));
        let (token, missing) = match path {
            None => (None, Some("no place for one: set HOME, or use --token-file".to_owned())),
            Some(path) => match AdminToken::read(&path) {
                Ok(token) => (Some(token), None),
                Err(error) => (None, Some(format!("{}: {error}", path.display()))),
            },
        };
        Ok(Self { authority: authority.to_string(), port, token, missing })
    }

    /// The answer to a question.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Error> {
        self.ask(Method::GET, path, "").await
    }

    /// The answer to a request, once it is whole.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> Result<Value, Error> {
        let answer = self.send(method, path, body).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| self.unreached(&error))?;
        let text = body.to_bytes();
        let value: Value = serde_json::from_slice(&text).unwrap_or_default();
        if status.is_success() {
            return Ok(value);
        }
        let error = &value["error"];
        let message = error["message"].as_str().map_or_else(
            || format!("the admin port answered {status}: {}", String::from_utf8_lossy(&text)),
            str::to_owned,
        );
        Err(self.refused(error["code"].as_str().unwrap_or_default(), message))
    }

    /// The body of an answer, as it comes.
    pub(crate) async fn follow(&self, path: &str) -> Result<Incoming, Error> {
        let answer = self.send(Method::GET, path, "").await?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        let body = answer.into_body().collect().await.map_err(|error| self.unreached(&error))?;
        let value: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        let error = &value["error"];
        let message = error["message"].as_str().unwrap_or("the admin port refused").to_owned();
        Err(self.refused(error["code"].as_str().unwrap_or_default(), message))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<http::Response<Incoming>, Error> {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address())).await;
        let stream = connecting
            .map_err(|_| self.unreached(&"no connection within 5 s"))?
            .map_err(|error| self.unreached(&error))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.unreached(&error))?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.bearer());
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        let request = request.body(body).map_err(|error| Error::usage(error.to_string()))?;
        sender.send_request(request).await.map_err(|error| self.unreached(&error))
    }

    fn address(&self) -> String {
        match self.authority.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => self.authority.clone(),
            _ => format!("{}:{}", self.authority, self.port),
        }
    }

    fn unreached(&self, why: &dyn std::fmt::Display) -> Error {
        let hint = "; is `mcp-manager up` running, and is this its admin port (--admin URL)?";
        let message = format!("no manager answers at http://{}: {why}{hint}", self.authority);
        Error::new(Exit::Unreachable, "CONNECTION_FAILED", message)
    }

    fn refused(&self, code: &str, message: String) -> Error {
        let (exit, code) = match code {
            "UNAUTHORIZED" => {
                let why = self.missing.as_deref().unwrap_or("the token is another manager's");
                let message = format!(
                    "the admin port wants its token ({why}); name its file with --token-file"
                );
                return Error::new(Exit::Usage, "UNAUTHORIZED", message);
            }
            "SERVER_NOT_FOUND" => (Exit::Tool, "SERVER_NOT_FOUND"),
            "SERVER_ALREADY_EXISTS" => (Exit::Usage, "SERVER_ALREADY_EXISTS"),
            "CONFIG_ERROR" => (Exit::Usage, "CONFIG_ERROR"),
            "INVALID_PARAMS" => (Exit::Usage, "INVALID_PARAMS"),
            "ADMIN_API_OFF" => (Exit::Usage, "ADMIN_API_OFF"),
            "NO_CONFIG" => (Exit::Usage, "NO_CONFIG"),
            "" => (Exit::Unexpected, "UNEXPECTED"),
            _ => (Exit::Unreachable, "NOT_DONE"),
        };
        Error::new(exit, code, message)
    }
}
