use std::error::Error;
use tonic::{Code, Status, transport};
use tower_temporal_core::{BoxError, ErrorKind, error};

/// The status for what a service of the connection failed with.
///
/// Middleware's errors are [`error::status`]'s to judge. What that does not know may be a channel's: tonic knows whether a
/// connection was refused, reset or lost.
pub(super) fn status(error: BoxError) -> Status {
    if error::kind(&error) != ErrorKind::Other {
        return error::status(error);
    }
    let is_transport = is_transport(error.as_ref());
    match Status::try_from_error(error) {
        // The SDK tells a lost connection, which it retries, from a cancelled call by the status' source. That does not
        // get through its callback, so the code has to say it.
        Ok(status) if is_transport && status.code() == Code::Cancelled => {
            Status::unavailable(status.message())
        }
        Ok(status) => status,
        Err(error) => error::status(error),
    }
}

fn is_transport(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        // The endpoint's own timeout is one too, but no lost connection.
        if error.is::<tonic::TimeoutExpired>() {
            return false;
        }
        if error.is::<transport::Error>()
            && error
                .source()
                .is_some_and(|cause| !cause.is::<tonic::TimeoutExpired>())
        {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tonic::transport::Endpoint;
    use tower::{ServiceExt, timeout::error::Elapsed};

    #[tokio::test]
    async fn a_refused_connection_is_unavailable() {
        let channel = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let request = http::Request::new(tonic::body::Body::empty());
        let error = channel.oneshot(request).await.unwrap_err();
        assert_eq!(status(error.into()).code(), Code::Unavailable);
    }

    #[test]
    fn middleware_s_errors_are_told_apart() {
        assert_eq!(status(Elapsed::new().into()).code(), Code::DeadlineExceeded);
        assert_eq!(status("something else".into()).code(), Code::Unknown);
    }

    #[tokio::test]
    async fn an_endpoint_s_timeout_is_a_cancellation_as_without_the_bridge() {
        let (client, _server) = tokio::io::duplex(64);
        let mut client = Some(hyper_util::rt::TokioIo::new(client));
        let connector =
            tower::service_fn(move |_| std::future::ready(client.take().ok_or("connected once")));
        let channel = Endpoint::from_static("http://memory")
            .timeout(Duration::from_millis(1))
            .connect_with_connector_lazy(connector);
        let request = http::Request::new(tonic::body::Body::empty());
        let error = channel.oneshot(request).await.unwrap_err();
        assert_eq!(status(error.into()).code(), Code::Cancelled);
    }
}
