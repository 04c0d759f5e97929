use http::HeaderMap;
use std::{error::Error, sync::Arc};
use tonic::{Code, Status, metadata::MetadataMap, transport};
use tower_temporal_core::{BoxError, ErrorKind, error};

/// What a service of the connection failed with.
#[derive(Clone, Copy)]
enum Cause {
    /// A channel's time for the call is over: the call's own `grpc-timeout`, which the channel counts too, or the endpoint's.
    Expired,
    /// A channel's connection is lost, or can't be made.
    Lost,
    /// Middleware's errors are [`error::kind`]'s to judge.
    Middleware(ErrorKind),
}

impl Cause {
    fn of(error: &(dyn Error + 'static)) -> Self {
        match error::kind_in(error) {
            ErrorKind::Other if error::find_in::<tonic::TimeoutExpired>(error).is_some() => {
                Self::Expired
            }
            ErrorKind::Other if error::find_in::<transport::Error>(error).is_some() => Self::Lost,
            kind => Self::Middleware(kind),
        }
    }

    const fn code(self) -> Code {
        match self {
            // tonic's own word is `CANCELLED`; gRPC's is this one, also where ours is the timer that ends the call.
            Self::Expired => Code::DeadlineExceeded,
            Self::Lost => Code::Unavailable,
            // The SDK tries again after `INTERNAL`, and this would come to the same.
            Self::Middleware(ErrorKind::Misuse) => Code::FailedPrecondition,
            Self::Middleware(kind) => kind.code(),
        }
    }
}

/// The code of the [`status`] for what a service of the connection failed with, which is only looked at.
///
/// The reason of an HTTP/2 reset, for which tonic may have another code, is not seen: it is a lost connection.
pub(super) fn code(error: &(dyn Error + 'static)) -> Code {
    Cause::of(error).code()
}

/// The status for what a service of the connection failed with.
pub(super) fn status(error: BoxError) -> Status {
    let cause = Cause::of(error.as_ref());
    let message = match cause {
        Cause::Expired => "the call has not ended in the channel's time for it".to_owned(),
        Cause::Middleware(ErrorKind::Misuse) => error.to_string(),
        // tonic knows what hyper and h2 say: how a connection was lost.
        Cause::Lost => return lost(Status::from_error(error)),
        Cause::Middleware(ErrorKind::Other) => return Status::from_error(error),
        Cause::Middleware(_) => return error::status(error),
    };
    let mut status = Status::new(cause.code(), message);
    status.set_source(Arc::from(error));
    status
}

/// The status for what a response's body has failed with.
pub(super) fn body_status(error: BoxError) -> Status {
    let status = status(error);
    // What the server says has no source. tonic knows no better of a connection that is lost in a body.
    if status.source().is_some() {
        lost(status)
    } else {
        status
    }
}

/// The SDK tells a lost connection, which it retries, from a cancelled call by the status' source. That does not get through
/// its callback, so the code has to say it, and the message what was behind it. And tonic calls `UNKNOWN` what it does not
/// look into.
fn lost(status: Status) -> Status {
    let code = match status.code() {
        Code::Cancelled | Code::Unknown => Code::Unavailable,
        code => code,
    };
    let mut message = status.message().to_owned();
    let mut next = status.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        next = cause.source();
    }
    let mut lost = Status::new(code, message);
    lost.set_source(Arc::new(status));
    lost
}

/// The metadata of the response belongs to the status too. Where both have a header, the response's counts, as with tonic.
pub(super) fn with_metadata(mut status: Status, headers: &mut HeaderMap) -> Status {
    let mut metadata = std::mem::take(status.metadata_mut()).into_headers();
    metadata.extend(std::mem::take(headers));
    *status.metadata_mut() = MetadataMap::from_headers(metadata);
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tonic::transport::Endpoint;
    use tower::{ServiceExt, timeout::error::Elapsed};

    #[tokio::test]
    async fn a_refused_connection_is_unavailable() {
        let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let request = http::Request::new(tonic::body::Body::empty());
        let error = channel.oneshot(request).await.unwrap_err();
        let status = status(error.into());
        assert_eq!(status.code(), Code::Unavailable);
        let message = status.message();
        assert!(message.contains("refused"), "what is wrong: {message}");
    }

    #[test]
    fn a_misuse_is_not_tried_again() {
        let misuse = tower_temporal_core::CallError::Gone { operation: "x" };
        assert_eq!(status(misuse.into()).code(), Code::FailedPrecondition);
    }

    #[test]
    fn middleware_s_errors_are_told_apart() {
        assert_eq!(status(Elapsed::new().into()).code(), Code::DeadlineExceeded);
        assert_eq!(status("something else".into()).code(), Code::Unknown);
    }

    /// What a channel to a server that says nothing fails with.
    async fn expired(endpoint: Endpoint, request: http::Request<tonic::body::Body>) -> BoxError {
        let (client, _server) = tokio::io::duplex(64);
        let mut client = Some(hyper_util::rt::TokioIo::new(client));
        let connector =
            tower::service_fn(move |_| std::future::ready(client.take().ok_or("connected once")));
        let channel = endpoint.connect_with_connector_lazy(connector);
        channel.oneshot(request).await.unwrap_err().into()
    }

    #[tokio::test]
    async fn a_channel_s_own_timer_ends_a_call_with_the_word_of_grpc() {
        let endpoint = || Endpoint::from_static("http://memory");
        let request = || http::Request::new(tonic::body::Body::empty());
        let of_endpoint = expired(endpoint().timeout(Duration::from_millis(1)), request()).await;
        let mut with_header = request();
        let timeout = http::HeaderValue::from_static("1m");
        with_header.headers_mut().insert("grpc-timeout", timeout);
        let of_call = expired(endpoint(), with_header).await;
        for error in [of_endpoint, of_call] {
            assert_eq!(code(error.as_ref()), Code::DeadlineExceeded);
            assert_eq!(status(error).code(), Code::DeadlineExceeded);
        }
    }

    /// A server that reads a request, says this much of a response, and is gone.
    async fn server_that_drops(mut connection: DuplexStream, response: Vec<u8>) {
        const PREFACE: usize = 24;
        const HEADERS: u8 = 1;
        connection.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        let mut preface = [0; PREFACE];
        connection.read_exact(&mut preface).await.unwrap();
        loop {
            let mut head = [0; 9];
            connection.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            connection.read_exact(&mut payload).await.unwrap();
            if head[3] == HEADERS {
                break;
            }
        }
        connection.write_all(&response).await.unwrap();
    }

    /// An HTTP/2 frame.
    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    }

    #[tokio::test]
    async fn a_connection_that_is_lost_on_the_way_is_unavailable() {
        // `:status: 200` and `content-type: application/grpc`, by HPACK's static table.
        let head = frame(1, 4, 1, b"\x88\x0f\x10\x10application/grpc");
        let half_a_head = head[..14].to_vec();
        let half_a_body = [head, frame(0, 0, 1, b"\0\0\0\0\x05he")].concat();
        for (what, response) in [
            ("no head", Vec::new()),
            ("half a head", half_a_head),
            ("half a body", half_a_body),
        ] {
            let (client, server) = tokio::io::duplex(64 * 1024);
            let server = tokio::spawn(server_that_drops(server, response));
            let mut client = Some(hyper_util::rt::TokioIo::new(client));
            let connector = tower::service_fn(move |_| {
                std::future::ready(client.take().ok_or("connected once"))
            });
            let channel =
                Endpoint::from_static("http://memory").connect_with_connector_lazy(connector);
            let service = crate::rpc::over(channel).into_service();
            let request = http::Request::post("/a/b")
                .body(crate::rpc::Body::new("hello"))
                .unwrap();
            let status = service.oneshot(request).await.unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{what}: {status:?}");
            server.await.unwrap();
        }
    }
}
