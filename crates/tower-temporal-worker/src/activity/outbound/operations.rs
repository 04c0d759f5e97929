use super::OutboundError;
use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};
use temporalio_common::data_converters::{PayloadConversionError, TemporalSerializable};
use temporalio_sdk::activities::{ActivityContext, ActivityInfo};
use tower_service::Service;
use tower_temporal_core::{BoxError, Category, Operation, Request, Target, scope::TaskScope};

macro_rules! operations {
    ($(
        $doc:literal
        $name:ident => $operation:ident($input:ident) -> $output:ty;
    )*) => {
        /// The names of all outbound operations.
        pub const OUTBOUND_OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = concat!(
                "The operation `", stringify!($name), "`: [`", stringify!($input), "`] → `", stringify!($output),
                "`, failing with [`OutboundError`]."
            )]
            #[derive(Clone, Copy, Debug)]
            pub struct $operation;

            impl Operation for $operation {
                type Input = $input;
                type Output = $output;
                type Error = OutboundError;
                type Context = ();
                type Scope = TaskScope;

                const NAME: &'static str = stringify!($name);
                const CATEGORY: Category = Category::ActivityOutbound;

                tower_temporal_core::spare!($operation);

                fn target<'a>(input: &'a $input, (): &'a ()) -> Target<'a> {
                    crate::activity::operations::target(&input.info)
                }

                fn error(error: BoxError) -> OutboundError {
                    OutboundError::Middleware(error)
                }
            }
        )*

        /// A stack that serves every call that an activity makes.
        ///
        /// It is implemented for every service that qualifies; there is nothing to implement by hand.
        #[diagnostic::on_unimplemented(
            message = "`{Self}` can't be the outbound stack of activities",
            label = "does not serve every outbound operation of an activity",
            note = "an outbound stack is `Clone + Send + 'static` and serves `Request<O>` for every outbound operation `O` with \
                    `Response = O::Output`, `Error: Into<BoxError>` and `Future: Send`",
            note = "put a layer that serves one operation only inside `on::<activity::Heartbeat, _>(layer)`"
        )]
        pub trait ActivityOutboundService:
            Clone + Send + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>, Future: Send>)*
        {
        }

        impl<S> ActivityOutboundService for S where
            S: Clone + Send + 'static
            $(+ Service<Request<$operation>, Response = $output, Error: Into<BoxError>, Future: Send>)*
        {
        }
    };
}

operations! {
    "Records a heartbeat. A layer that does not call inward drops it."
    heartbeat => Heartbeat(HeartbeatInput) -> ();
    "Asks what is known of the activity. It is synchronous: a layer can't wait here."
    info => Info(InfoInput) -> ActivityInfo;
}

type Recorded = Pin<Box<dyn Future<Output = Result<(), PayloadConversionError>> + Send>>;

/// Input to [`Heartbeat`].
pub struct HeartbeatInput {
    info: Arc<ActivityInfo>,
    details: Box<dyn Any + Send + Sync>,
    /// Records details of the type that `details` has.
    record: fn(ActivityContext, Box<dyn Any + Send + Sync>) -> Recorded,
}

impl HeartbeatInput {
    pub(super) fn new<T>(info: Arc<ActivityInfo>, details: T) -> Self
    where
        T: TemporalSerializable + Send + Sync + 'static,
    {
        Self {
            info,
            details: Box::new(details),
            record: record::<T>,
        }
    }

    /// What is known of the activity.
    pub fn activity_info(&self) -> &ActivityInfo {
        &self.info
    }

    /// The details, if they are a `T`.
    pub fn details_ref<T: Any>(&self) -> Option<&T> {
        self.details.downcast_ref()
    }

    /// The details, to be changed, if they are a `T`.
    pub fn details_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.details.downcast_mut()
    }

    /// Replaces the details, by a value of any type.
    pub fn replace_details<T>(&mut self, details: T)
    where
        T: TemporalSerializable + Send + Sync + 'static,
    {
        self.details = Box::new(details);
        self.record = record::<T>;
    }

    pub(super) fn record(self, context: ActivityContext) -> Recorded {
        (self.record)(context, self.details)
    }
}

impl fmt::Debug for HeartbeatInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeatInput")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

fn record<T>(context: ActivityContext, details: Box<dyn Any + Send + Sync>) -> Recorded
where
    T: TemporalSerializable + Send + Sync + 'static,
{
    let details = *details
        .downcast::<T>()
        .expect("`details` and `record` are set together");
    Box::pin(async move { context.record_heartbeat(details).await })
}

/// Input to [`Info`].
#[derive(Clone, Debug)]
pub struct InfoInput {
    info: Arc<ActivityInfo>,
}

impl InfoInput {
    pub(super) const fn new(info: Arc<ActivityInfo>) -> Self {
        Self { info }
    }

    /// What is known of the activity, as the SDK says.
    pub fn activity_info(&self) -> &ActivityInfo {
        &self.info
    }
}
