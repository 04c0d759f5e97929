use super::{
    Body,
    body::PREFIX,
    status::{body_status, with_metadata},
};
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use pin_project_lite::pin_project;
use std::{
    env,
    pin::Pin,
    sync::OnceLock,
    task::{Context, Poll, ready},
};
use tonic::{Code, Status, metadata::GRPC_CONTENT_TYPE};
use tower_temporal_core::BoxError;

/// How much is set aside for a message before it has arrived, at most: its length is what the other side says.
const TRUSTED: usize = 1 << 20;

/// The largest message that is read: the SDK's limit for the channels it makes itself, by the SDK's variable.
fn limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        env::var("TEMPORAL_MAX_INCOMING_GRPC_BYTES")
            .ok()
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or(128 << 20)
    })
}

/// How the other side ended a call, once all of it has arrived.
pub(super) enum Ended {
    Answered(Answer),
    Refused(Status),
}

/// The answer to a call: its metadata, trailers among them, and its message.
pub(super) struct Answer {
    pub(super) metadata: HeaderMap,
    message: Whole,
}

impl Answer {
    pub(super) fn into_parts(self) -> (HeaderMap, Bytes) {
        (self.metadata, self.message.into_message())
    }

    /// The same as a response that says in its headers how the call ended, and has all there is in memory.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(self.message.into_body());
        *response.headers_mut() = self.metadata;
        let headers = response.headers_mut();
        headers.insert(Status::GRPC_STATUS, HeaderValue::from_static(OK));
        headers.insert(header::CONTENT_TYPE, GRPC_CONTENT_TYPE);
        response
    }
}

impl Ended {
    /// The answer, where a refusal is an error like any other.
    pub(super) fn into_result(self) -> Result<Answer, Status> {
        match self {
            Self::Answered(answer) => Ok(answer),
            Self::Refused(status) => Err(status),
        }
    }
}

/// `grpc-status` of a call that went well.
pub(super) const OK: &str = "0";

/// What the headers or trailers of a response say about its end.
enum Verdict {
    Ok,
    Failed(Status),
    Nothing,
}

impl Verdict {
    /// Most calls go well, and those are not worth a copy of the map.
    fn of(headers: &HeaderMap) -> Self {
        match headers.get(Status::GRPC_STATUS) {
            None => Self::Nothing,
            Some(code) if code == OK => Self::Ok,
            Some(_) => match Status::from_header_map(headers) {
                Some(status) => Self::Failed(status),
                None => Self::Nothing,
            },
        }
    }
}

pin_project! {
    /// Reads the response of a unary call to its end.
    ///
    /// It fails with a status that says what is wrong with the response. A status that the other side has sent is not
    /// such a failure.
    #[must_use = "futures do nothing unless polled"]
    pub(super) struct Unary<B> {
        headers: HeaderMap,
        http_status: StatusCode,
        head: Verdict,
        message: Message,
        #[pin]
        body: B,
    }
}

impl<B> Unary<B> {
    pub(super) fn new(response: Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            head: Verdict::of(&parts.headers),
            headers: parts.headers,
            http_status: parts.status,
            message: Message::new(limit()),
            body,
        }
    }
}

impl<B> Future for Unary<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = Result<Ended, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A failed call has no message; and what is no gRPC at all, such as a proxy's page, is not to be read as one.
        match std::mem::replace(this.head, Verdict::Nothing) {
            Verdict::Failed(status) => return Poll::Ready(Ok(Ended::Refused(status))),
            Verdict::Nothing if !is_grpc(this.headers) => {
                return Poll::Ready(Err(no_grpc(*this.http_status)));
            }
            head => *this.head = head,
        }
        let trailers = loop {
            match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.message.push(data)?,
                    Err(frame) => break frame.into_trailers().ok(),
                },
                Some(Err(error)) => {
                    return Poll::Ready(Err(with_metadata(
                        body_status(error.into()),
                        this.headers,
                    )));
                }
                None => break None,
            }
        };
        if let Some(trailers) = trailers {
            match Verdict::of(&trailers) {
                Verdict::Failed(status) => {
                    let status = with_metadata(status, this.headers);
                    return Poll::Ready(Ok(Ended::Refused(status)));
                }
                Verdict::Ok => this.headers.extend(trailers),
                Verdict::Nothing => return Poll::Ready(Err(no_grpc(*this.http_status))),
            }
        } else if let Verdict::Nothing = this.head {
            return Poll::Ready(Err(no_grpc(*this.http_status)));
        }
        let message = this.message.take()?;
        let mut metadata = std::mem::take(this.headers);
        for wire in [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            Status::GRPC_STATUS,
            Status::GRPC_MESSAGE,
        ] {
            metadata.remove(wire);
        }
        Poll::Ready(Ok(Ended::Answered(Answer { metadata, message })))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
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

/// A message that has arrived.
enum Whole {
    /// With its prefix, as it came.
    Wire(Bytes),
    /// Without.
    Message(Bytes),
}

impl Whole {
    fn into_message(self) -> Bytes {
        match self {
            Self::Wire(mut wire) => {
                wire.advance(PREFIX);
                wire
            }
            Self::Message(message) => message,
        }
    }

    fn into_body(self) -> Body {
        match self {
            Self::Wire(wire) => Body::from_wire(wire),
            Self::Message(message) => Body::new(message),
        }
    }
}

/// A message as it arrives. One that comes in a single piece, as most do, is not copied.
struct Message {
    limit: usize,
    prefix: [u8; PREFIX],
    /// How much of the prefix is there.
    known: usize,
    data: Data,
}

enum Data {
    Nothing,
    Whole(Whole),
    /// Pieces, put together without the prefix in the memory that the SDK takes.
    Pieces(Vec<u8>),
}

impl Message {
    const fn new(limit: usize) -> Self {
        Self {
            limit,
            prefix: [0; PREFIX],
            known: 0,
            data: Data::Nothing,
        }
    }

    fn length(&self) -> usize {
        let [_, length @ ..] = self.prefix;
        u32::from_be_bytes(length) as usize
    }

    fn push(&mut self, mut data: Bytes) -> Result<(), Status> {
        let wire = (self.known == 0).then(|| data.clone());
        if self.known < PREFIX {
            let part = data.len().min(PREFIX - self.known);
            data.copy_to_slice(&mut self.prefix[self.known..self.known + part]);
            self.known += part;
            if self.known < PREFIX {
                return Ok(());
            }
            self.judge_prefix()?;
        }
        if data.is_empty() {
            return Ok(());
        }
        let length = self.length();
        let before = match &self.data {
            Data::Nothing => 0,
            Data::Whole(_) => length,
            Data::Pieces(pieces) => pieces.len(),
        };
        if before + data.len() > length {
            return Err(Status::internal(format!(
                "the response's message should be {length} bytes, and there are more"
            )));
        }
        match &mut self.data {
            Data::Pieces(pieces) => pieces.extend_from_slice(&data),
            place if data.len() == length => {
                *place = Data::Whole(wire.map_or(Whole::Message(data), Whole::Wire));
            }
            place => {
                let mut pieces = Vec::with_capacity(length.min(TRUSTED));
                pieces.extend_from_slice(&data);
                *place = Data::Pieces(pieces);
            }
        }
        Ok(())
    }

    /// What is known from the prefix is not waited for.
    fn judge_prefix(&self) -> Result<(), Status> {
        if self.prefix[0] != 0 {
            return Err(Status::unimplemented(
                "the response is compressed, which the SDK's connection does not support; send no `grpc-accept-encoding`",
            ));
        }
        let (length, limit) = (self.length(), self.limit);
        if length > limit {
            // By these words the SDK knows that it is of no use to try again.
            return Err(Status::resource_exhausted(format!(
                "grpc: received message larger than max ({length} vs. {limit})"
            )));
        }
        Ok(())
    }

    fn take(&mut self) -> Result<Whole, Status> {
        match self.known {
            PREFIX => {}
            0 => return Err(Status::internal("the response has no message")),
            _ => {
                return Err(Status::internal(
                    "the response ends within a message's prefix",
                ));
            }
        }
        let length = self.length();
        match std::mem::replace(&mut self.data, Data::Nothing) {
            Data::Whole(whole) => Ok(whole),
            Data::Nothing if length == 0 => Ok(Whole::Message(Bytes::new())),
            Data::Pieces(pieces) if pieces.len() == length => Ok(Whole::Message(pieces.into())),
            part => {
                let arrived = match part {
                    Data::Pieces(pieces) => pieces.len(),
                    _ => 0,
                };
                Err(Status::internal(format!(
                    "the response's message should be {length} bytes, and there are {arrived}"
                )))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream};
    use http_body::{Body, Frame};
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
        Ok(answer(Unary::new(response)).await?.1)
    }

    async fn answer(
        unary: Unary<impl Body<Data = Bytes, Error = BoxError>>,
    ) -> std::result::Result<(HeaderMap, Bytes), Status> {
        Ok(unary.await?.into_result()?.into_parts())
    }

    #[tokio::test]
    async fn a_message_in_pieces_is_put_together() {
        for size in [1, 3, 5, 7, 10] {
            let mut frames: Vec<_> = b"\0\0\0\0\x05hello".chunks(size).map(data).collect();
            frames.push(trailers("0"));
            let response = response(200, "application/grpc+proto", frames);
            let (headers, message) = answer(Unary::new(response)).await.unwrap();
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
        let status = answer(Unary::new(response)).await.unwrap_err();
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
            let status = answer(Unary::new(page)).await.unwrap_err();
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
    async fn what_the_prefix_says_is_not_waited_for() {
        let stalls = |first: &'static [u8]| {
            let frames = stream::iter([data(first)]).chain(stream::pending());
            Response::builder()
                .header(header::CONTENT_TYPE, "application/grpc")
                .body(StreamBody::new(frames))
                .unwrap()
        };
        for (what, first, code) in [
            ("compressed", &b"\x01\0\0\0\x05"[..], Code::Unimplemented),
            ("too large", b"\0\xff\xff\xff\xff", Code::ResourceExhausted),
            ("more than declared", b"\0\0\0\0\x01he", Code::Internal),
        ] {
            let now = answer(Unary::new(stalls(first))).now_or_never();
            let status = now.unwrap_or_else(|| panic!("{what}: waits")).unwrap_err();
            assert_eq!(status.code(), code, "{what}: {status}");
        }
    }

    #[tokio::test]
    async fn of_a_header_in_both_the_first_is_kept_in_a_status_and_the_last_in_an_answer_as_with_tonic()
     {
        let both = |status: &'static str| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            trailers.insert("from", HeaderValue::from_static("trailers"));
            let frames = vec![data(b"\0\0\0\0\0"), Ok(Frame::trailers(trailers))];
            answer(Unary::new(response(200, "application/grpc", frames)))
        };
        assert_eq!(both("0").await.unwrap().0["from"], "trailers");
        let status = both("5").await.unwrap_err();
        assert_eq!(status.metadata().get("from").unwrap(), "headers");
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
