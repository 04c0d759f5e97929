use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// What precedes a message on the wire: whether it is compressed, and its length.
pub(super) const PREFIX: usize = 5;

/// The body of a unary call: one message, held in memory.
///
/// A clone shares the message, so that requests can be sent again ([`tower::retry`], `tower::hedge`) at the cost of a
/// reference count. [`tonic::body::Body`], which a tonic channel takes, can't be cloned; it is made `From` this one.
///
/// As an [`http_body::Body`] it is what gRPC puts on the wire: the message with its prefix and, in a response, the trailers.
#[derive(Clone, Debug, Default)]
pub struct Body {
    prefix: Option<[u8; PREFIX]>,
    message: Bytes,
    trailers: Option<HeaderMap>,
}

impl Body {
    /// The body of a request: a protobuf message, encoded.
    ///
    /// # Panics
    ///
    /// If the message is larger than 4 GiB, which gRPC can't send.
    pub fn new(message: impl Into<Bytes>) -> Self {
        let message = message.into();
        let length = u32::try_from(message.len()).expect("gRPC's messages are smaller than 4 GiB");
        let [a, b, c, d] = length.to_be_bytes();
        Self {
            prefix: Some([0, a, b, c, d]),
            message,
            trailers: None,
        }
    }

    /// Ends the body with trailers, as a response's does.
    pub fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        self.trailers = Some(trailers);
        self
    }

    /// The protobuf message, encoded.
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// The message alone.
    pub fn into_message(self) -> Bytes {
        self.message
    }
}

/// The prefix and the message are two frames: joining them would copy the message.
impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(if let Some(prefix) = self.prefix.take() {
            let mut data = BytesMut::with_capacity(PREFIX);
            data.put_slice(&prefix);
            Some(Ok(Frame::data(data.freeze())))
        } else if !self.message.is_empty() {
            Some(Ok(Frame::data(std::mem::take(&mut self.message))))
        } else {
            self.trailers
                .take()
                .map(|trailers| Ok(Frame::trailers(trailers)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.prefix.is_none() && self.message.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let prefix = self.prefix.map_or(0, |prefix| prefix.len());
        SizeHint::with_exact((prefix + self.message.len()) as u64)
    }
}

impl From<Body> for tonic::body::Body {
    fn from(body: Body) -> Self {
        Self::new(body)
    }
}

/// Gives a request the body that tonic's channels take.
///
/// It goes between a stack and a channel: `ServiceBuilder::new()…map_request(rpc::into_tonic).service(channel)`.
pub fn into_tonic(request: http::Request<Body>) -> http::Request<tonic::body::Body> {
    request.map(Into::into)
}
