use super::{Body, status::status};
use http::Request;
use prost::Message;
use tonic::Status;
use tower_temporal_core::{
    BoxError, Category, HeaderMapMut, Headers, HeadersMut, Operation, Target, scope::TaskScope,
};

/// A unary gRPC method of one of Temporal's services.
///
/// It is implemented by a marker type for each, in a module for each service: [`workflow_service::StartWorkflowExecution`],
/// [`operator_service::ListSearchAttributes`] …
///
/// Every method is an [`Operation`] too, whose input and output are the method's messages.
pub trait Rpc:
    Operation<
        Input: Message + Default + Send,
        Output: Message + Default + Send,
        Error = Status,
        Context = (),
    >
{
    /// The service's full name: `temporal.api.workflowservice.v1.WorkflowService`.
    const SERVICE: &'static str;
    /// The path of the method's requests: `/temporal.api.workflowservice.v1.WorkflowService/StartWorkflowExecution`.
    const PATH: &'static str;

    /// Whether `request` is one of this method.
    fn matches<B>(request: &Request<B>) -> bool {
        request.uri().path() == Self::PATH
    }
}

macro_rules! method {
    (
        $doc:literal, $method:ident, $service:literal, $path:literal, $input:ty, $output:ty,
        headers: [$($header:tt)*],
        target: |$target_input:ident, $target_output:ident| $target:block,
        is_long_poll: |$waits_input:ident| $waits:expr
    ) => {
        #[doc = $doc]
        #[derive(Clone, Copy, Debug)]
        pub struct $method;

        impl Rpc for $method {
            const SERVICE: &'static str = $service;
            const PATH: &'static str = $path;
        }

        impl Operation for $method {
            type Input = $input;
            type Output = $output;
            type Error = Status;
            type Context = ();
            type Scope = TaskScope;

            // As gRPC spells it: the client operations have the SDK's spelling, and one call may be in both.
            const NAME: &'static str = stringify!($method);
            const CATEGORY: Category = Category::Rpc;

            headers! { $input, $($header)* }

            #[allow(deprecated, unused_mut, unused_variables)]
            fn target<'a>($target_input: &'a $input, (): &'a ()) -> Target<'a> {
                let mut $target_output = Target::new();
                $target
                $target_output
            }

            #[allow(unused_variables)]
            fn is_long_poll($waits_input: &$input) -> bool {
                $waits
            }

            fn error(error: BoxError) -> Status {
                status(error)
            }
        }
    };
}

/// The headers of a request, if it has any.
macro_rules! headers {
    ($input:ty,) => {};
    ($input:ty, $($step:tt)+) => {
        fn headers(input: &$input) -> Headers<'_> {
            header_at!([&] input, $($step)+)
                .map_or(Headers::none(), |header| Headers::optional([header]))
        }

        fn headers_mut(input: &mut $input) -> HeadersMut<'_> {
            header_at!([&mut] input, $($step)+)
                .map_or(HeadersMut::none(), |header| HeadersMut::one(HeaderMapMut::Optional(header)))
        }
    };
}

/// Where the headers are, step by step into the request's messages; none if a message on the way is absent.
macro_rules! header_at {
    ([$($borrow:tt)+] $place:ident, $field:ident) => {
        Some($($borrow)+ $place.$field)
    };
    ([$($borrow:tt)+] $place:ident, $field:ident($variant:path), $($step:tt)+) => {
        match $($borrow)+ $place.$field {
            Some($variant(inner)) => header_at!([$($borrow)+] inner, $($step)+),
            _ => None,
        }
    };
    ([$($borrow:tt)+] $place:ident, $field:ident, $($step:tt)+) => {
        match $($borrow)+ $place.$field {
            Some(inner) => header_at!([$($borrow)+] inner, $($step)+),
            None => None,
        }
    };
}

/// Whether the server holds this call of `R`. What can't be read, the server answers at once.
fn waits<R: Rpc>(request: &Request<Body>) -> bool {
    let message = request.body().message().clone();
    R::Input::decode(message).is_ok_and(|input| R::is_long_poll(&input))
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

include!(concat!(env!("OUT_DIR"), "/methods.rs"));
