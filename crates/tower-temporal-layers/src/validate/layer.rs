use crate::CallInfo;
use std::{any::Any, fmt, marker::PhantomData};
use tower_layer::Layer;
use tower_temporal_core::{
    BoxError, Intercept, Intercepted, Invalid, Operation, ReplaySafe, Request,
};

/// Looks at typed arguments before a call is made. See the [module](super).
pub struct ValidateLayer<T, F> {
    validate: F,
    args: PhantomData<fn(T)>,
}

impl<T, F, E> ValidateLayer<T, F>
where
    T: Any,
    F: Fn(&T, &CallInfo<'_>) -> Result<(), E>,
    E: Into<Invalid>,
{
    /// Lets `validate` look at every argument that is a `T`. Its error is a text, or an [`Invalid`].
    pub const fn new(validate: F) -> Self {
        Self {
            validate,
            args: PhantomData,
        }
    }
}

impl<T, F, E> Intercept for ValidateLayer<T, F>
where
    T: Any,
    F: Fn(&T, &CallInfo<'_>) -> Result<(), E> + Clone + 'static,
    E: Into<Invalid>,
{
    type State<O: Operation> = ();

    fn before<O: Operation>(&self, request: &mut Request<O>) -> Result<(), BoxError> {
        let call = CallInfo::new(request);
        let args = O::args::<T>(request).into_iter().flatten();
        for args in args {
            (self.validate)(args, &call).map_err(Into::into)?;
        }
        Ok(())
    }
}

impl<T, F: Clone, S> Layer<S> for ValidateLayer<T, F> {
    type Service = Intercepted<Self, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted::new(self.clone(), inner)
    }
}

/// The closure is workflow code, like the workflow itself, and can't wait.
impl<T, F> ReplaySafe for ValidateLayer<T, F> {}

impl<T, F: Clone> Clone for ValidateLayer<T, F> {
    fn clone(&self) -> Self {
        Self {
            validate: self.validate.clone(),
            args: PhantomData,
        }
    }
}

impl<T, F> fmt::Debug for ValidateLayer<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateLayer")
            .field("args", &std::any::type_name::<T>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower_temporal_core::{
        ErrorKind, Terminal, error,
        probe::{self, ClientProbe, ProbeError},
    };

    fn even<T: Copy + Into<u64> + 'static>()
    -> ValidateLayer<T, impl Fn(&T, &CallInfo<'_>) -> Result<(), String> + Clone> {
        ValidateLayer::new(|value: &T, call: &CallInfo<'_>| {
            let value: u64 = (*value).into();
            match value % 2 {
                0 => Ok(()),
                _ => Err(format!("{} of {value}", call.operation)),
            }
        })
    }

    #[tokio::test]
    async fn an_argument_of_the_type_is_looked_at() {
        let stack = even::<u32>().layer(Terminal);
        let fine = probe::call::<ClientProbe, _, _>(stack.clone(), 2, |_| Ok(1)).await;
        assert_eq!(fine.unwrap(), 1);
        let odd = probe::call::<ClientProbe, _, _>(stack, 1, |_| panic!("refused")).await;
        let Err(ProbeError::Middleware(error)) = odd else {
            panic!("the argument should be refused")
        };
        assert_eq!(error::kind(&error), ErrorKind::Invalid);
        assert_eq!(error.to_string(), "invalid: client_probe of 1");
    }

    #[tokio::test]
    async fn one_of_another_type_is_not() {
        let stack = even::<u8>().layer(Terminal);
        let other = probe::call::<ClientProbe, _, _>(stack, 1, |_| Ok(1)).await;
        assert_eq!(other.unwrap(), 1);
    }
}
