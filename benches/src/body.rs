//! A whole HTTP body in one piece of memory.

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// Waits for the end of `body`.
///
/// A body that arrived with its head is one frame, and that frame is handed on as it is: the list
/// that [`BodyExt::collect`] keeps is only paid for by a body that really comes in parts.
pub(crate) async fn whole(mut body: Incoming) -> Result<Bytes, hyper::Error> {
    let first = loop {
        match body.frame().await {
            None => return Ok(Bytes::new()),
            Some(frame) => {
                if let Ok(data) = frame?.into_data() {
                    break data;
                }
            }
        }
    };
    if body.is_end_stream() {
        return Ok(first);
    }
    let rest = body.collect().await?.to_bytes();
    Ok(if rest.is_empty() { first } else { [first, rest].concat().into() })
}
