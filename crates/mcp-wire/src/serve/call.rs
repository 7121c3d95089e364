//! One request as a service sees it.

use super::Level;
use super::level::Threshold;
use super::sink::Sink;
use crate::{Era, ErrorObject, Members, Message, Request, code, quoted};

/// A request to be answered, and the way to its caller while it is.
#[derive(Debug)]
pub struct Call {
    request: Request,
    era: Era,
    sink: Sink,
    threshold: Threshold,
}

impl Call {
    pub(super) fn new(request: Request, era: Era, sink: Sink, threshold: Threshold) -> Self {
        Self { request, era, sink, threshold }
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.request.method()
    }

    /// The tool, prompt or resource that the request is about.
    pub fn name(&self) -> Option<&str> {
        self.request.name()
    }

    /// The members of `params`; `None` if there are no params or they are no object.
    pub fn params(&self) -> Option<Members<'_>> {
        self.request.params()
    }

    /// The members of `params.arguments`; `None` if there are none or they are no object.
    pub fn arguments(&self) -> Option<Members<'_>> {
        self.params()?.object("arguments").ok()?
    }

    /// The request as it came.
    pub fn message(&self) -> &Message {
        self.request.message()
    }

    /// How the caller speaks to us.
    pub fn era(&self) -> Era {
        self.era
    }

    /// Reports how far the call is, if its caller asked to be told. Waits for a slow reader.
    ///
    /// `progress` grows from report to report; `total` is what it grows to, where that is known.
    pub async fn progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let token = self.request.token();
        let token = token.and_then(|range| self.message().as_str().get(range));
        let (Some(token), true) = (token, progress.is_finite()) else { return };
        let total = total.filter(|total| total.is_finite());
        let total = total.map(|total| format!(r#","total":{total}"#)).unwrap_or_default();
        let message = message.map(|text| format!(r#","message":{}"#, quoted(text)));
        let message = message.unwrap_or_default();
        let params =
            format!(r#"{{"progressToken":{token},"progress":{progress}{total}{message}}}"#);
        self.sink.notify("notifications/progress", &params).await;
    }

    /// Logs `data`, a JSON text, to the caller, if it wants to see messages of this level.
    pub async fn log(&self, level: Level, data: &str) {
        if self.threshold.admits(level) {
            let params = format!(r#"{{"level":"{}","data":{data}}}"#, level.name());
            self.sink.notify("notifications/message", &params).await;
        }
    }

    /// The error for a method that the service does not have.
    pub fn unknown_method(&self) -> ErrorObject {
        let method = quoted(self.method());
        ErrorObject::new(code::METHOD_NOT_FOUND, format!("unknown method {method}"))
    }

    /// The error for a resource that does not exist, which has another code in each era.
    pub fn unknown_resource(&self, uri: &str) -> ErrorObject {
        let code = match self.era {
            Era::Legacy => code::RESOURCE_NOT_FOUND,
            Era::Modern => code::INVALID_PARAMS,
        };
        let uri = quoted(uri);
        ErrorObject::new(code, format!("no such resource: {uri}"))
            .with_data(format!(r#"{{"uri":{uri}}}"#))
    }
}
