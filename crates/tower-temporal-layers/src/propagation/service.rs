use crate::header;
use std::{
    fmt,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
};
use temporalio_common::data_converters::{
    PayloadConverter, TemporalDeserializable, TemporalSerializable,
};
use tower_service::Service;
use tower_temporal_core::{ContextKey, Operation, Request, Scope};

/// The service of [`PropagationLayer`](super::PropagationLayer).
pub struct Propagation<K, S> {
    inner: S,
    converter: PayloadConverter,
    key: PhantomData<fn() -> K>,
}

impl<K, S> Propagation<K, S> {
    pub(super) const fn new(inner: S, converter: PayloadConverter) -> Self {
        Self {
            inner,
            converter,
            key: PhantomData,
        }
    }
}

impl<K, S, O> Service<Request<O>> for Propagation<K, S>
where
    K: ContextKey,
    K::Value: TemporalSerializable + TemporalDeserializable,
    O: Operation,
    S: Service<Request<O>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = <O::Scope as Scope<O::Context>>::Scoped<K, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<O>) -> Self::Future {
        let value = if O::CATEGORY.is_inbound() {
            header::read(&request, K::HEADER, &self.converter).map(Arc::new)
        } else {
            self.inject(&mut request);
            None
        };
        O::Scope::scope(request, value, |request| self.inner.call(request))
    }
}

impl<K, S> Propagation<K, S>
where
    K: ContextKey,
    K::Value: TemporalSerializable,
{
    /// Writes the value that surrounds a call into its header.
    fn inject<O: Operation>(&self, request: &mut Request<O>) {
        if !request.headers().are_carried() {
            return;
        }
        if let Some(value) = O::Scope::get::<K>(request.context()) {
            header::write(request, K::HEADER, &*value, &self.converter);
        }
    }
}

impl<K, S: Clone> Clone for Propagation<K, S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.converter.clone())
    }
}

impl<K: ContextKey, S: fmt::Debug> fmt::Debug for Propagation<K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Propagation")
            .field("header", &K::HEADER)
            .field("inner", &self.inner)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::propagation::PropagationLayer;
    use std::{cell::RefCell, collections::HashMap};
    use temporalio_common::{
        data_converters::PayloadConverter, protos::temporal::api::common::v1::Payload,
    };
    use tower_layer::Layer;
    use tower_temporal_core::{
        ContextKey, Terminal,
        probe::{self, ActivityInboundProbe, ClientProbe, ProbeInput},
    };

    struct UserId;

    impl ContextKey for UserId {
        type Value = String;
        const HEADER: &'static str = "user-id";
    }

    type Headers = HashMap<String, Payload>;

    /// What a call of a client with `headers` sends.
    async fn sent(headers: Headers) -> Headers {
        let sent = RefCell::default();
        let stack = PropagationLayer::<UserId>::new().layer(Terminal);
        let input = ProbeInput { value: 0, headers };
        probe::call::<ClientProbe, _, _>(stack, input, |input| {
            sent.replace(input.headers);
            Ok(0)
        })
        .await
        .unwrap();
        sent.into_inner()
    }

    /// What an activity sees whose call has `headers`.
    async fn seen(headers: Headers) -> Option<String> {
        let seen = RefCell::default();
        let stack = PropagationLayer::<UserId>::new().layer(Terminal);
        let input = ProbeInput { value: 0, headers };
        probe::call::<ActivityInboundProbe, _, _>(stack, input, |_| {
            seen.replace(UserId::current().map(|user| user.to_string()));
            Ok(0)
        })
        .await
        .unwrap();
        seen.into_inner()
    }

    fn header(data: &str, encoding: &str) -> Headers {
        let payload = Payload {
            data: data.into(),
            metadata: [("encoding".to_owned(), encoding.into())].into(),
            ..Default::default()
        };
        [(UserId::HEADER.to_owned(), payload)].into()
    }

    #[tokio::test]
    async fn the_value_travels_in_the_header() {
        let headers = UserId::scope("alice".to_owned(), sent(Headers::new())).await;
        assert_eq!(
            headers,
            header(r#""alice""#, "json/plain"),
            "as Python and TypeScript write it"
        );
        assert_eq!(seen(headers).await.as_deref(), Some("alice"));
        assert_eq!(UserId::current(), None, "nothing is left behind");
    }

    #[tokio::test]
    async fn the_caller_s_value_replaces_a_header_that_was_there() {
        let before = header(r#""mallory""#, "json/plain");
        let headers = UserId::scope("alice".to_owned(), sent(before)).await;
        assert_eq!(headers, header(r#""alice""#, "json/plain"));
    }

    #[tokio::test]
    async fn without_a_value_the_headers_stay_as_they_are() {
        let before = header(r#""mallory""#, "json/plain");
        assert_eq!(sent(before.clone()).await, before);
        assert_eq!(sent(Headers::new()).await, Headers::new());
    }

    #[tokio::test]
    async fn the_value_is_encoded_by_the_converter_that_is_given() {
        let sent = RefCell::default();
        // It takes types only that encode themselves.
        let layer =
            PropagationLayer::<UserId>::new().with_payload_converter(PayloadConverter::UseWrappers);
        let call = probe::call::<ClientProbe, _, _>(layer.layer(Terminal), 0, |input| {
            sent.replace(input.headers);
            Ok(0)
        });
        UserId::scope("alice".to_owned(), call).await.unwrap();
        assert_eq!(sent.into_inner(), Headers::new());
    }

    #[tokio::test]
    async fn an_absent_header_leaves_the_value_unset() {
        assert_eq!(seen(Headers::new()).await, None);
    }

    #[tokio::test]
    async fn a_header_that_can_t_be_decoded_does_not_fail_the_call() {
        assert_eq!(seen(header("not json", "json/plain")).await, None);
        assert_eq!(seen(header("x", "some/other")).await, None);
    }
}
