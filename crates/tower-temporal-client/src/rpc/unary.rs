use super::{body::PREFIX, status::status};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, header};
use http_body::Body;
use pin_project_lite::pin_project;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status};
use tower_temporal_core::BoxError;

/// How much is set aside for a message before it has arrived, at most: its length is what the other side says.
const TRUSTED: usize = 1 << 20;

pin_project! {
    /// Reads the response of a unary call: its metadata, trailers among them, and its message, encoded.
    ///
    /// It fails with the status that the call ended with, or with one that says what is wrong with the response.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct Unary<B> {
        headers: HeaderMap,
        http_status: StatusCode,
        message: Message,
        #[pin]
        body: B,
    }
}

impl<B> Unary<B> {
    pub(super) fn new(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            headers: parts.headers,
            http_status: parts.status,
            message: Message::default(),
            body,
        }
    }
}

impl<B> Future for Unary<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<(HeaderMap, Bytes), Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A failed call has no message; and what is no gRPC at all, such as a proxy's page, is not to be read as one.
        let ended = Status::from_header_map(this.headers);
        match ended {
            Some(status) if status.code() != Code::Ok => return Poll::Ready(Err(status)),
            None if !is_grpc(this.headers) => return Poll::Ready(Err(no_grpc(*this.http_status))),
            _ => {}
        }
        let trailers = loop {
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.message.push(data),
                    Err(frame) => break frame.into_trailers().ok(),
                },
                Some(Err(error)) => {
                    return Poll::Ready(Err(with_metadata(status(error.into()), this.headers)));
                }
                None => break None,
            }
        };
        if let Some(trailers) = trailers {
            match Status::from_header_map(&trailers) {
                Some(status) if status.code() != Code::Ok => {
                    return Poll::Ready(Err(with_metadata(status, this.headers)));
                }
                Some(_) => this.headers.extend(trailers),
                None => return Poll::Ready(Err(no_grpc(*this.http_status))),
            }
        } else if ended.is_none() {
            return Poll::Ready(Err(no_grpc(*this.http_status)));
        }
        let message = std::mem::take(this.message).finish()?;
        let mut metadata = std::mem::take(this.headers);
        for wire in [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            Status::GRPC_STATUS,
            Status::GRPC_MESSAGE,
        ] {
            metadata.remove(wire);
        }
        Poll::Ready(Ok((metadata, message)))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// The metadata of the response belongs to the status too, as with tonic.
fn with_metadata(mut status: Status, headers: &mut HeaderMap) -> Status {
    let mut metadata = std::mem::take(headers);
    metadata.extend(std::mem::take(status.metadata_mut()).into_headers());
    *status.metadata_mut() = tonic::metadata::MetadataMap::from_headers(metadata);
    status
}

/// The status for a response without one, after
/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.
fn no_grpc(http: StatusCode) -> Status {
    let code = match http {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(
        code,
        format!("the response has no grpc-status; its HTTP status is {http}"),
    )
}

/// A message as it arrives. One that comes in a single piece, as most do, is not copied.
#[derive(Default)]
enum Message {
    #[default]
    Nothing,
    Whole(Bytes),
    Pieces(BytesMut),
}

impl Message {
    fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        match self {
            Self::Nothing => *self = Self::Whole(data),
            Self::Whole(first) => {
                let length = length(first).unwrap_or_default().min(TRUSTED);
                let mut pieces =
                    BytesMut::with_capacity((PREFIX + length).max(first.len() + data.len()));
                pieces.put(std::mem::take(first));
                pieces.put(data);
                *self = Self::Pieces(pieces);
            }
            Self::Pieces(pieces) => pieces.put(data),
        }
    }

    fn finish(self) -> Result<Bytes, Status> {
        let mut data = match self {
            Self::Nothing => return Err(Status::internal("the response has no message")),
            Self::Whole(data) => data,
            Self::Pieces(pieces) => pieces.freeze(),
        };
        let Some(length) = length(&data) else {
            return Err(Status::internal(
                "the response ends within a message's prefix",
            ));
        };
        if data[0] != 0 {
            return Err(Status::unimplemented(
                "the response is compressed, which the SDK's connection does not support; send no `grpc-accept-encoding`",
            ));
        }
        data.advance(PREFIX);
        if data.len() != length {
            return Err(Status::internal(format!(
                "the response's message should be {length} bytes, and there are {}",
                data.len()
            )));
        }
        Ok(data)
    }
}

/// The length in a message's prefix.
fn length(data: &[u8]) -> Option<usize> {
    let prefix = data.get(1..PREFIX)?;
    Some(u32::from_be_bytes(prefix.try_into().ok()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;

    type Result<T = ()> = std::result::Result<T, BoxError>;

    fn response(
        http: u16,
        content_type: &str,
        frames: Vec<Result<Frame<Bytes>>>,
    ) -> Response<impl Body<Data = Bytes, Error = BoxError> + Unpin> {
        Response::builder()
            .status(http)
            .header(header::CONTENT_TYPE, content_type)
            .header("from", "headers")
            .body(StreamBody::new(stream::iter(frames)))
            .unwrap()
    }

    fn data(data: &[u8]) -> Result<Frame<Bytes>> {
        Ok(Frame::data(Bytes::copy_from_slice(data)))
    }

    fn trailers(status: &str) -> Result<Frame<Bytes>> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", status.parse()?);
        trailers.insert("also-from", "trailers".parse()?);
        Ok(Frame::trailers(trailers))
    }

    async fn read(frames: Vec<Result<Frame<Bytes>>>) -> std::result::Result<Bytes, Status> {
        let response = response(200, "application/grpc", frames);
        Ok(Unary::new(response).await?.1)
    }

    #[tokio::test]
    async fn a_message_in_pieces_is_put_together() {
        for size in [1, 3, 5, 7, 10] {
            let mut frames: Vec<_> = b"\0\0\0\0\x05hello".chunks(size).map(data).collect();
            frames.push(trailers("0"));
            let response = response(200, "application/grpc+proto", frames);
            let (headers, message) = Unary::new(response).await.unwrap();
            assert_eq!(message, "hello");
            assert_eq!(headers["from"], "headers");
            assert_eq!(headers["also-from"], "trailers");
        }
    }

    #[tokio::test]
    async fn a_message_in_one_piece_is_not_copied() {
        let wire = Bytes::from_static(b"\0\0\0\0\x05hello");
        let at = wire.as_ptr();
        let message = read(vec![Ok(Frame::data(wire)), trailers("0")])
            .await
            .unwrap();
        assert_eq!(message.as_ptr(), at.wrapping_add(PREFIX));
    }

    #[tokio::test]
    async fn a_status_after_the_message_counts_and_keeps_all_metadata() {
        let frames = vec![data(b"\0\0\0\0\0"), trailers("5")];
        let response = response(200, "application/grpc", frames);
        let status = Unary::new(response).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.metadata().get("from").unwrap(), "headers");
        assert_eq!(status.metadata().get("also-from").unwrap(), "trailers");
    }

    #[tokio::test]
    async fn what_is_no_grpc_is_told_by_its_http_status() {
        for (http, code) in [
            (503, Code::Unavailable),
            (401, Code::Unauthenticated),
            (200, Code::Unknown),
        ] {
            let page = response(http, "text/html", vec![data(b"<h1>Proxy</h1>")]);
            let status = Unary::new(page).await.unwrap_err();
            assert_eq!(status.code(), code);
            assert!(status.message().contains(&http.to_string()), "{status}");
        }
    }

    #[tokio::test]
    async fn a_response_that_is_not_whole_is_an_error() {
        let frames: [(&str, Vec<_>, Code); 6] = [
            ("no message", vec![trailers("0")], Code::Internal),
            (
                "half a prefix",
                vec![data(b"\0\0"), trailers("0")],
                Code::Internal,
            ),
            (
                "half a message",
                vec![data(b"\0\0\0\0\x05he"), trailers("0")],
                Code::Internal,
            ),
            (
                "two messages",
                vec![data(b"\0\0\0\0\0\0\0\0\0\0"), trailers("0")],
                Code::Internal,
            ),
            ("no trailers", vec![data(b"\0\0\0\0\0")], Code::Unknown),
            (
                "compressed",
                vec![data(b"\x01\0\0\0\0"), trailers("0")],
                Code::Unimplemented,
            ),
        ];
        for (what, frames, code) in frames {
            assert_eq!(read(frames).await.unwrap_err().code(), code, "{what}");
        }
    }

    #[tokio::test]
    async fn a_body_that_fails_fails_the_call() {
        let timeout = tower::timeout::error::Elapsed::new();
        let status = read(vec![data(b"\0\0\0"), Err(timeout.into())])
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::DeadlineExceeded);
    }
}
