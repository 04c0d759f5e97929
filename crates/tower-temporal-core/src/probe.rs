//! Operations that nothing of Temporal is behind, for unit tests of layers.
//!
//! They are like real ones in everything a layer can see: an input with headers, an output, an error, a category. A test
//! sends one through a stack with [`call`], and says itself what stands for the SDK.

use crate::{
    BoxError, Category, HeaderMap, HeaderMapMut, Headers, HeadersMut, Operation, Repeatable,
    Request, Target, call::Call, scope::TaskScope,
};
use std::{any::Any, collections::HashMap, future::Ready};
use temporalio_common::{
    data_converters::{
        GenericPayloadConverter, PayloadConverter, SerializationContext, SerializationContextData,
    },
    protos::temporal::api::common::v1::Payload,
};
use tower_service::Service;

/// The input of every probe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeInput {
    /// The argument.
    pub value: u32,
    /// The Temporal headers.
    pub headers: HashMap<String, Payload>,
}

impl From<u32> for ProbeInput {
    fn from(value: u32) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }
}

/// The error of every probe.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// What the test's stand-in for the SDK failed with.
    #[error("the probe failed: {0}")]
    Failed(String),
    /// What a middleware failed with.
    #[error("middleware failed: {0}")]
    Middleware(#[source] BoxError),
}

macro_rules! probes {
    ($($(#[$doc:meta])* $probe:ident: $name:literal in $category:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $probe;

        impl Operation for $probe {
            type Input = ProbeInput;
            type Output = u32;
            type Error = ProbeError;
            type Context = ();
            type Scope = TaskScope;

            const NAME: &'static str = $name;
            const CATEGORY: Category = Category::$category;

            crate::spare!($probe);

            fn headers(input: &ProbeInput) -> Headers<'_> {
                Headers::one(HeaderMap::Payloads(&input.headers))
            }

            fn headers_mut(input: &mut ProbeInput) -> HeadersMut<'_> {
                HeadersMut::one(HeaderMapMut::Payloads(&mut input.headers))
            }

            fn target<'a>(_: &'a ProbeInput, (): &'a ()) -> Target<'a> {
                Target {
                    name: Some("target"),
                    ..Target::new()
                }
            }

            fn args<T: Any>(input: &ProbeInput) -> [Option<&T>; 2] {
                [(&input.value as &dyn Any).downcast_ref(), None]
            }

            fn error(error: BoxError) -> ProbeError {
                ProbeError::Middleware(error)
            }
        }
    )*};
}

probes! {
    /// A call of a client.
    ClientProbe: "client_probe" in ClientOutbound;
    /// Another call of a client, to be told from [`ClientProbe`].
    OtherProbe: "other_probe" in ClientOutbound;
    /// A call into a workflow. Nothing may be woken in it.
    WorkflowInboundProbe: "workflow_inbound_probe" in WorkflowInbound;
    /// A call a workflow makes. Nothing may be woken in it.
    WorkflowOutboundProbe: "workflow_outbound_probe" in WorkflowOutbound;
    /// A call into an activity.
    ActivityInboundProbe: "activity_inbound_probe" in ActivityInbound;
}

/// Its attempts are told apart from other calls by the argument.
impl Repeatable for ActivityInboundProbe {
    fn identity(input: &ProbeInput) -> String {
        input.value.to_string()
    }

    fn encode(output: &mut u32, converter: &PayloadConverter) -> Result<Payload, BoxError> {
        let data = SerializationContextData::None;
        let context = SerializationContext::new(&data, converter);
        Ok(converter.to_payload(&context, output)?)
    }

    /// # Panics
    ///
    /// If the payload is no number in JSON.
    fn encoded(payload: Payload) -> u32 {
        serde_json::from_slice(&payload.data).expect("a probe's output is a number")
    }
}

/// Sends `input` through `stack`; `sdk` stands for what the SDK would do with what arrives.
///
/// ```
/// use tower_temporal_core::{Terminal, probe::{self, ClientProbe}};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let output = probe::call::<ClientProbe, _, _>(Terminal, 1, |input| Ok(input.value + 1)).await;
/// assert_eq!(output.unwrap(), 2);
/// # });
/// ```
pub fn call<O, S, N>(
    stack: S,
    input: impl Into<ProbeInput>,
    sdk: N,
) -> Call<O, S, impl FnOnce(ProbeInput) -> Ready<Result<u32, ProbeError>>>
where
    O: Operation<Input = ProbeInput, Output = u32, Error = ProbeError, Context = ()>,
    S: Service<Request<O>, Response = u32>,
    S::Error: Into<BoxError>,
    N: FnOnce(ProbeInput) -> Result<u32, ProbeError>,
{
    Call::new(stack, input.into(), (), |input| {
        std::future::ready(sdk(input))
    })
}
