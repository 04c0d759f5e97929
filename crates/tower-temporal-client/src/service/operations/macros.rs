//! What is generated from the table.

/// A field's type, where an argument of another type is turned into it.
macro_rules! field {
    ($argument:ty) => {
        $argument
    };
    ($argument:ty as $field:ty) => {
        $field
    };
}

/// An argument as its field.
macro_rules! value {
    ($argument:ident) => {
        $argument
    };
    ($argument:ident as $field:ty) => {
        Into::<$field>::into($argument)
    };
}

/// One request per entry: its marker type, its input, `new`, what it is to layers, and the call.
///
/// What an entry leaves out is: no headers, no arguments, `RpcOptions` in `options`, no long poll, no target, and *not*
/// idempotent.
macro_rules! operations {
    ($(
        $method:ident => $operation:ident $(<$($generic:ident),+>)? ($input:ident) -> $output:ty, $error:ident
        $(where { $($bounds:tt)+ })?
        {
            $doc:literal
            new: ($($(#[$field_doc:meta])* $field:ident: $argument:ty $(as $type:ty)?),* $(,)?),
            $(id: $id:ident,)?
            $(carries: $carries:ident $(if $known:expr)?,)?
            $(headers: [$($header:ident),*],)?
            $(args: [$($args:ident),*],)?
            $(rpc: $($rpc:ident).+,)?
            $(long_poll: $long_poll:expr,)?
            $(target: |$target_input:ident| $target:expr,)?
            $(idempotent: $idempotent:expr,)?
            $(done_if: $done:ident,)?
            call: |$client:ident, $call_input:ident| $call:expr,
        }
    )*) => {
        /// The names of all requests.
        pub const OPERATIONS: &[&str] = &[$(stringify!($method)),*];

        $(
            #[doc = $doc]
            #[doc = ""]
            #[doc = concat!(
                "A request of [`ClientService`]: [`", stringify!($input), "`] → `", stringify!($output),
                "`, failing with [`", stringify!($error), "`]."
            )]
            pub struct $operation $(<$($generic),+>)? (PhantomData<fn() -> ($($($generic,)+)?)>);

            #[doc = concat!("Input to [`", stringify!($operation), "`].")]
            pub struct $input $(<$($generic),+>)? $(where $($bounds)+)? {
                $($(#[$field_doc])* pub $field: field!($argument $(as $type)?),)*
            }

            #[allow(trivial_bounds, reason = "which fields depend on a parameter differs")]
            impl $(<$($generic),+>)? Clone for $input $(<$($generic),+>)?
            where
                $(field!($argument $(as $type)?): Clone,)*
                $($($bounds)+)?
            {
                fn clone(&self) -> Self {
                    Self { $($field: self.$field.clone()),* }
                }
            }

            impl $(<$($generic),+>)? $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                #[doc = concat!("The request: ", $doc)]
                $(
                    #[doc = ""]
                    #[doc = concat!(
                        "Without `", stringify!($id), "` the options are given a new one, so that every clone of the \
                         request is the same call to the server."
                    )]
                )?
                $(
                    #[doc = ""]
                    #[doc = concat!(
                        "It is given a new ", stringify!($carries), " in its metadata, if it has none \
                         ([`REQUEST_ID`](crate::service::REQUEST_ID))."
                    )]
                )?
                #[allow(
                    clippy::new_ret_no_self,
                    reason = "the operation is a marker; what is made is a request of it"
                )]
                #[allow(unused_mut, reason = "not every request has an id")]
                pub fn new($($field: $argument),*) -> Request<Self> {
                    let mut input = $input { $($field: value!($field $(as $type)?)),* };
                    $(input.options.$id.get_or_insert_with(new_id);)?
                    $($carries::give(<Self as ClientOperation>::rpc_options_mut(&mut input));)?
                    Request::new(input, ())
                }
            }

            impl $(<$($generic),+>)? Operation for $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                type Input = $input $(<$($generic),+>)?;
                type Output = $output;
                type Error = $error;

                client_operation! {
                    $method,
                    headers: [$($($header),*)?],
                    args: |input, Arg| [$($(arg::<_, Arg>(&input.$args)),*)?],
                    rpc: [$($($rpc).+)?],
                    long_poll: [$($long_poll)?],
                    target: [$(|$target_input| $target)?],
                }
            }

            impl $(<$($generic),+>)? ClientOperation for $operation $(<$($generic),+>)? $(where $($bounds)+)? {
                $(
                    fn is_idempotent(input: &Self::Input) -> bool {
                        let is_idempotent: fn(&Self::Input) -> bool = $idempotent;
                        is_idempotent(input)
                    }
                )?

                $(
                    fn is_done(code: Code) -> bool {
                        code == Code::$done
                    }
                )?

                fn status(error: &Self::Error) -> Option<&Status> {
                    $crate::sdk_error::SdkError::status(error)
                        .or_else(|| tower_temporal_core::error::find_in(error))
                }

                #[allow(unused_variables)]
                fn rpc_options(input: &Self::Input) -> Option<&RpcOptions> {
                    rpc_options!(&input; $($($rpc).+)?)
                }

                #[allow(unused_variables)]
                fn rpc_options_mut(input: &mut Self::Input) -> Option<&mut RpcOptions> {
                    rpc_options!(&mut input; $($($rpc).+)?)
                }

                $(
                    fn request_id(input: &Self::Input) -> Option<&str> {
                        $(
                            let is_known: fn(&Self::Input) -> bool = $known;
                            if !is_known(input) {
                                return None;
                            }
                        )?
                        $carries::of(Self::rpc_options(input)?)
                    }
                )?
            }

            impl $(<$($generic),+>)? Service<Request<$operation $(<$($generic),+>)?>> for ClientService
            $(where $($bounds)+)?
            {
                type Response = $output;
                type Error = $error;
                type Future = ResponseFuture<$output, $error>;

                fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), $error>> {
                    Poll::Ready(Ok(()))
                }

                fn call(&mut self, request: Request<$operation $(<$($generic),+>)?>) -> Self::Future {
                    let $client = self.client().clone();
                    let ($call_input, (), _) = request.into_parts();
                    ResponseFuture::new(async move { $call })
                }
            }
        )*
    };
}
