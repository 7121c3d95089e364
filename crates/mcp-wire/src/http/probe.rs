//! Asking a server over HTTP whether it is well.

use bytes::Bytes;
use http::{HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};

use super::Endpoint;
use crate::CallError;

/// What is read of an answer, so that its connection can be used again.
const BODY_BYTES_MAX: usize = 64 << 10;

impl Endpoint {
    /// The status with which the server answers a `GET` of the endpoint's URL. The body is not
    /// looked at, redirects are not followed.
    pub async fn get_status(&self) -> Result<u16, CallError> {
        let accept = HeaderValue::from_static("*/*");
        let request = self.target.request(Method::GET, accept, Bytes::new());
        let (response, connection) = self.target.pool.send(request).await?;
        let status = response.status().as_u16();
        if Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await.is_ok() {
            self.target.pool.give_back(connection);
        }
        Ok(status)
    }
}
