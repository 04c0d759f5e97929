use super::{DedupFuture, DedupKey, DedupLayer, Payload, Store};
use std::{
    fmt,
    task::{Context, Poll},
};
use temporalio_common::data_converters::PayloadConverter;
use tower_service::Service;
use tower_temporal_core::{BoxError, Repeatable, Request};

/// The service of [`DedupLayer`].
#[derive(Clone)]
pub struct Dedup<S, T, Q> {
    inner: S,
    layer: DedupLayer<T, Q>,
}

impl<S, T, Q> Dedup<S, T, Q> {
    pub(super) const fn new(inner: S, layer: DedupLayer<T, Q>) -> Self {
        Self { inner, layer }
    }
}

impl<O, S, T, Q> Service<Request<O>> for Dedup<S, T, Q>
where
    O: Repeatable<Output: Send>,
    Request<O>: Send,
    S: Service<Request<O>, Response = O::Output> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    T: Store,
    Q: DedupKey,
{
    type Response = O::Output;
    type Error = BoxError;
    type Future = DedupFuture<S::Future, O::Output>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<O>) -> Self::Future {
        let Some(key) = self.layer.key.key(&request) else {
            return DedupFuture::passed_by(self.inner.call(request));
        };
        // The clone stays; the service that was made ready goes with the call.
        let not_ready = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, not_ready);
        let (store, converter) = (self.layer.store.clone(), self.layer.converter.clone());
        DedupFuture::looked(async move {
            if let Some(stored) = store.get(&key).await.map_err(Into::into)? {
                return Ok(O::encoded(stored));
            }
            let mut output = ready.call(request).await.map_err(Into::into)?;
            let stored = encode_and_put::<O, _>(&store, &key, &mut output, &converter).await;
            if let Err(error) = stored {
                tracing::warn!(
                    operation = O::NAME,
                    key,
                    error,
                    "the output could not be stored, and the call would run again if it were repeated"
                );
            }
            Ok(output)
        })
    }
}

impl<S: fmt::Debug, T, Q> fmt::Debug for Dedup<S, T, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dedup")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

async fn encode_and_put<O: Repeatable, T: Store>(
    store: &T,
    key: &str,
    output: &mut O::Output,
    converter: &PayloadConverter,
) -> Result<(), BoxError> {
    let payload: Payload = O::encode(output, converter)?;
    store.put(key, payload).await.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallInfo, dedup::ByKey};
    use std::{
        collections::HashMap,
        sync::{Arc, Mutex},
    };
    use tower_layer::Layer;
    use tower_temporal_core::{
        Terminal,
        probe::{self, ActivityInboundProbe, ProbeError},
    };

    #[derive(Clone, Default)]
    struct Memory {
        outputs: Arc<Mutex<HashMap<String, Payload>>>,
        /// What does not work.
        broken: &'static str,
    }

    impl Store for Memory {
        type Error = &'static str;

        async fn get(&self, key: &str) -> Result<Option<Payload>, &'static str> {
            match self.broken {
                "get" => Err("it can't be read"),
                _ => Ok(self.outputs.lock().unwrap().get(key).cloned()),
            }
        }

        async fn put(&self, key: &str, output: Payload) -> Result<(), &'static str> {
            if self.broken == "put" {
                return Err("it can't be written");
            }
            self.outputs.lock().unwrap().insert(key.to_owned(), output);
            Ok(())
        }
    }

    fn must_not_run(_: probe::ProbeInput) -> Result<u32, ProbeError> {
        panic!("it was done already")
    }

    #[tokio::test]
    async fn an_output_is_given_again_and_another_call_runs() {
        let stack = DedupLayer::new(Memory::default()).layer(Terminal);
        let first = probe::call::<ActivityInboundProbe, _, _>(stack.clone(), 1, |_| Ok(10));
        assert_eq!(first.await.unwrap(), 10);
        let again = probe::call::<ActivityInboundProbe, _, _>(stack.clone(), 1, must_not_run);
        assert_eq!(again.await.unwrap(), 10);
        let other = probe::call::<ActivityInboundProbe, _, _>(stack, 2, |_| Ok(20));
        assert_eq!(other.await.unwrap(), 20);
    }

    #[tokio::test]
    async fn a_failure_is_not_stored() {
        let store = Memory::default();
        let stack = DedupLayer::new(store.clone()).layer(Terminal);
        let fail = |_| Err(ProbeError::Failed("x".to_owned()));
        let first = probe::call::<ActivityInboundProbe, _, _>(stack, 1, fail);
        assert!(matches!(first.await, Err(ProbeError::Failed(_))));
        assert!(store.outputs.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn the_key_can_be_another_and_without_one_the_call_runs() {
        let stack = DedupLayer::new(Memory::default())
            .key(|call: &CallInfo<'_>| {
                let header = call.headers().get("document")?;
                String::from_utf8(header.data.clone()).ok()
            })
            .layer(Terminal);
        let input = |value, document: Option<&str>| {
            let payload = |document: &str| Payload {
                data: document.into(),
                ..Payload::default()
            };
            probe::ProbeInput {
                value,
                headers: document
                    .map(|document| ("document".to_owned(), payload(document)))
                    .into_iter()
                    .collect(),
            }
        };
        for (value, document, expected) in [
            (1, Some("a"), 1),
            (2, Some("a"), 1),
            (2, None, 2),
            (3, None, 3),
        ] {
            let run = probe::call::<ActivityInboundProbe, _, _>(
                stack.clone(),
                input(value, document),
                |input| Ok(input.value),
            );
            assert_eq!(run.await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_key_is_one_of_its_activity_type() {
        let key = ByKey(|_: &CallInfo<'_>| Some(7));
        let request = Request::<ActivityInboundProbe>::new(1.into(), ());
        assert_eq!(key.key(&request).as_deref(), Some(r#""" 7"#));
    }

    #[tokio::test]
    async fn a_store_that_can_t_be_read_fails_the_call_and_one_that_can_t_be_written_does_not() {
        let broken = |broken| {
            let store = Memory {
                broken,
                ..Memory::default()
            };
            DedupLayer::new(store).layer(Terminal)
        };
        let unread = probe::call::<ActivityInboundProbe, _, _>(broken("get"), 1, must_not_run);
        let error = unread.await.unwrap_err();
        assert_eq!(error.to_string(), "middleware failed: it can't be read");
        let unwritten = probe::call::<ActivityInboundProbe, _, _>(broken("put"), 1, |_| Ok(10));
        assert_eq!(unwritten.await.unwrap(), 10);
    }
}
