use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use prost::Message;
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
    start: Option<Start>,
    message: Bytes,
    trailers: Option<HeaderMap>,
}

/// What goes over the wire first.
#[derive(Clone, Debug)]
enum Start {
    /// The prefix alone: joining it to the message would copy the message.
    Prefix([u8; PREFIX]),
    /// The prefix with the message, which were one piece of memory from the start.
    All(Bytes),
}

impl Body {
    /// The body of a request: a protobuf message, encoded.
    ///
    /// # Panics
    ///
    /// If the message is larger than 4 GiB, which gRPC can't send.
    pub fn new(message: impl Into<Bytes>) -> Self {
        let message = message.into();
        Self {
            start: Some(Start::Prefix(prefix(message.len()))),
            message,
            trailers: None,
        }
    }

    /// The body of a message, encoded into one piece of memory with its prefix.
    pub(super) fn encode(message: &impl Message) -> Self {
        let length = message.encoded_len();
        let mut wire = Vec::with_capacity(PREFIX + length);
        wire.extend_from_slice(&prefix(length));
        message
            .encode(&mut wire)
            .expect("a vector has room for every message");
        Self::from_wire(wire.into())
    }

    /// The body that this prefix and message are.
    pub(super) fn from_wire(wire: Bytes) -> Self {
        Self {
            message: wire.slice(PREFIX..),
            start: Some(Start::All(wire)),
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

fn prefix(length: usize) -> [u8; PREFIX] {
    let length = u32::try_from(length).expect("gRPC's messages are smaller than 4 GiB");
    let [a, b, c, d] = length.to_be_bytes();
    [0, a, b, c, d]
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.start.take() {
            Some(Start::Prefix(prefix)) => Bytes::copy_from_slice(&prefix),
            Some(Start::All(wire)) => {
                self.message = Bytes::new();
                wire
            }
            None => std::mem::take(&mut self.message),
        };
        Poll::Ready(if data.is_empty() {
            self.trailers
                .take()
                .map(|trailers| Ok(Frame::trailers(trailers)))
        } else {
            Some(Ok(Frame::data(data)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.start.is_none() && self.message.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let prefix = self.start.as_ref().map_or(0, |_| PREFIX);
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
