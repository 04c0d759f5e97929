use super::Failed;
use std::fmt;
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, Intercept, Intercepted, Operation, ReplaySafe, Request, error,
};

/// Says how failures are reported. See the [module](super).
#[derive(Clone, Copy)]
pub struct MapErrorLayer<F> {
    map: F,
}

impl<F: Fn(&mut Failed)> MapErrorLayer<F> {
    /// Lets `map` look at every failure, and change it.
    pub const fn new(map: F) -> Self {
        Self { map }
    }
}

impl<F: Fn(&mut Failed) + Clone + 'static> Intercept for MapErrorLayer<F> {
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, _: &mut Request<O>) -> Result<(), BoxError> {
        Ok(())
    }

    fn after<O: Operation>(
        &self,
        (): (),
        result: Result<O::Output, BoxError>,
    ) -> Result<O::Output, BoxError> {
        result.map_err(|error| {
            if !error::is_failure::<O, _>(&error) {
                return error;
            }
            let kind = error::kind_of::<O, _>(&error);
            let mut failed = Failed::new(error, kind);
            (self.map)(&mut failed);
            failed.into_error()
        })
    }
}

impl<F: Clone, S> Layer<S> for MapErrorLayer<F> {
    type Service = Intercepted<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted::new(self.clone(), inner)
    }
}

/// The closure is workflow code, like the workflow itself, and can't wait.
impl<F> ReplaySafe for MapErrorLayer<F> {}

impl<F> fmt::Debug for MapErrorLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapErrorLayer")
            .field("map", &std::any::type_name::<F>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use temporalio_common::error::ApplicationFailure;
    use tower_temporal_core::{
        ErrorKind, Terminal,
        probe::{self, ClientProbe, ProbeError},
    };

    /// What a call fails with that fails with `error`, when `map` has seen it.
    async fn mapped(map: impl Fn(&mut Failed) + Clone + 'static, error: ProbeError) -> ProbeError {
        let stack = MapErrorLayer::new(map).layer(Terminal);
        let call = probe::call::<ClientProbe, _, _>(stack, 1, |_| Err(error));
        call.await.unwrap_err()
    }

    fn failed() -> ProbeError {
        ProbeError::Failed("x".to_owned())
    }

    #[tokio::test]
    async fn an_error_that_is_not_changed_passes_untouched() {
        let error = mapped(|_| (), failed()).await;
        assert!(matches!(error, ProbeError::Failed(_)), "{error:?}");
    }

    #[tokio::test]
    async fn an_error_is_found_and_becomes_a_failure() {
        let map = |failed: &mut Failed| {
            assert!(failed.find::<tonic::Status>().is_none());
            if let Some(ProbeError::Failed(_)) = failed.find() {
                let delay = Duration::from_secs(7);
                failed.type_name("X").non_retryable().retry_after(delay);
            }
        };
        let ProbeError::Middleware(error) = mapped(map, failed()).await else {
            panic!("the error should be another")
        };
        let failure: &ApplicationFailure = error.downcast_ref().unwrap();
        assert_eq!(failure.type_name(), Some("X"));
        assert!(failure.is_non_retryable());
        assert_eq!(failure.next_retry_delay(), Some(Duration::from_secs(7)));
        assert_eq!(failure.to_string(), "the probe failed: x");
        assert!(failure.source_error().is::<ProbeError>());
    }

    #[tokio::test]
    async fn what_a_failure_said_before_stays_unless_it_is_changed() {
        let own = ApplicationFailure::builder("x")
            .type_name("Mine".to_owned())
            .non_retryable(true)
            .build();
        let map = |failed: &mut Failed| {
            failed.details("more");
        };
        let error = mapped(map, ProbeError::Middleware(own.into())).await;
        let ProbeError::Middleware(error) = error else {
            panic!("the error should be a failure")
        };
        let failure: &ApplicationFailure = error.downcast_ref().unwrap();
        assert_eq!(failure.type_name(), Some("Mine"));
        assert!(failure.is_non_retryable());
    }

    #[tokio::test]
    async fn details_stay_too() {
        let own = ApplicationFailure::builder("x")
            .details("more".to_owned())
            .build();
        let map = |failed: &mut Failed| {
            failed.non_retryable();
        };
        let error = mapped(map, ProbeError::Middleware(own.into())).await;
        let ProbeError::Middleware(error) = error else {
            panic!("the error should be a failure")
        };
        let failure: &ApplicationFailure = error.downcast_ref().unwrap();
        assert!(failure.is_non_retryable());
        assert_eq!(failure.details().unwrap(), Some("more".to_owned()));
    }

    #[tokio::test]
    async fn an_error_can_be_replaced() {
        let map = |failed: &mut Failed| {
            failed.replace(tonic::Status::not_found("gone"));
            assert_eq!(failed.kind(), ErrorKind::Status(tonic::Code::NotFound));
        };
        let ProbeError::Middleware(error) = mapped(map, failed()).await else {
            panic!("the error should be another")
        };
        assert_eq!(
            error::kind(&error),
            ErrorKind::Status(tonic::Code::NotFound)
        );
    }
}
