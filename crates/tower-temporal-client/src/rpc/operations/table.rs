//! The table of operations that only the gRPC level sees, and what is generated from it.

use super::{Operations, OperationsFuture};
use crate::rpc::{Body, Rpc, operator_service, workflow_service};
use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;
use tower_temporal_core::{self as core, BoxError, Operation};

macro_rules! operations {
    ($($service:ident { $($method:ident)* })*) => {
        /// The names of all operations that [`operations`](super::operations()) intercepts.
        pub const OPERATIONS: &[&str] = &[$($(<$service::$method as Operation>::NAME),*),*];

        /// A stack that serves every operation of [`operations`](super::operations()).
        ///
        /// It is implemented for every service that qualifies; there is nothing to implement by hand. A stack of generic
        /// layers qualifies as it is. One that serves a single request type does inside
        /// [`tower_temporal_core::on`].
        #[diagnostic::on_unimplemented(
            message = "`{Self}` can't be the stack of `rpc::operations`",
            label = "does not serve every operation of `rpc::operations`",
            note = "the stack is `Clone + Send + 'static`, serves `Request<O>` for every operation `O` of the table with \
                    `Response = O::Output`, `Error: Into<BoxError>` and `Future: Send`",
            note = "put a layer that serves one operation only inside `on::<StartActivityExecution, _>(layer)`"
        )]
        pub trait RpcService: Clone + Send + 'static $($(
            + Service<
                core::Request<$service::$method>,
                Response = <$service::$method as Operation>::Output,
                Error: Into<BoxError>,
                Future: Send,
            >
        )*)* {}

        impl<T> RpcService for T where T: Clone + Send + 'static $($(
            + Service<
                core::Request<$service::$method>,
                Response = <$service::$method as Operation>::Output,
                Error: Into<BoxError>,
                Future: Send,
            >
        )*)* {}

        /// Sends a call of the table through the stack, and gives back any other.
        pub(super) fn dispatch<T, S, B>(
            operations: &Operations<T, S>,
            request: Request<Body>,
        ) -> Result<OperationsFuture, Request<Body>>
        where
            T: RpcService,
            S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
            S::Error: Into<BoxError>,
            S::Future: Send,
            B: http_body::Body<Data = Bytes> + Send + 'static,
            B::Error: Into<BoxError>,
        {
            match request.uri().path() {
                $($(
                    <$service::$method as Rpc>::PATH => {
                        Ok(Box::pin(operations.intercept::<$service::$method, B>(request)))
                    }
                )*)*
                _ => Err(request),
            }
        }
    };
}

operations! {
    workflow_service {
        StartActivityExecution
        DescribeActivityExecution
        ListActivityExecutions
        CountActivityExecutions
        RequestCancelActivityExecution
        TerminateActivityExecution
        DeleteActivityExecution
        PollActivityExecution

        RecordActivityTaskHeartbeat

        CreateSchedule
        UpdateSchedule

        RegisterNamespace
        DescribeNamespace
        ListNamespaces
        UpdateNamespace
        DeprecateNamespace
    }
    operator_service {
        AddSearchAttributes
        RemoveSearchAttributes
        ListSearchAttributes
        DeleteNamespace
        AddOrUpdateRemoteCluster
        RemoveRemoteCluster
        ListClusters
        GetNexusEndpoint
        CreateNexusEndpoint
        UpdateNexusEndpoint
        DeleteNexusEndpoint
        ListNexusEndpoints
    }
}
