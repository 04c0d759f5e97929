//! What the two tables of operations have in common: the SDK's own calls, and the requests of [`service`](crate::service).

/// Where an input has its `RpcOptions`, as an option: in its `options`, unless a field is named, or `none`.
macro_rules! rpc_options {
    (&mut $input:ident; none) => {
        None
    };
    (&mut $input:ident; $($field:ident).+) => {
        Some(&mut $input.$($field).+)
    };
    (&mut $input:ident;) => {
        Some(&mut $input.options.rpc_options)
    };
    (&$input:ident; none) => {
        None
    };
    (&$input:ident; $($field:ident).+) => {
        Some(&$input.$($field).+)
    };
    (&$input:ident;) => {
        Some(&$input.options.rpc_options)
    };
}

/// The items of an `impl Operation`, but for its types of input, output and error.
macro_rules! client_operation {
    (
        $method:ident,
        headers: [$($header:ident),*],
        args: |$args_input:ident, $arg:ident| [$($args:expr),*],
        rpc: [$($rpc:tt)*],
        long_poll: [$($long_poll:expr)?],
        target: [$(|$target_input:ident| $target:expr)?],
    ) => {
        type Context = ();
        type Scope = tower_temporal_core::scope::TaskScope;

        const NAME: &'static str = stringify!($method);
        const CATEGORY: tower_temporal_core::Category =
            tower_temporal_core::Category::ClientOutbound;

        #[allow(unused_variables)]
        fn headers(input: &Self::Input) -> tower_temporal_core::Headers<'_> {
            tower_temporal_core::Headers::optional([$(&input.options.$header),*])
        }

        #[allow(unused_variables)]
        fn headers_mut(input: &mut Self::Input) -> tower_temporal_core::HeadersMut<'_> {
            tower_temporal_core::HeadersMut::optional([$(&mut input.options.$header),*])
        }

        $(
            fn target<'a>(
                $target_input: &'a Self::Input,
                (): &'a (),
            ) -> tower_temporal_core::Target<'a> {
                $target
            }
        )?

        #[allow(unused_variables)]
        fn args<$arg: std::any::Any>($args_input: &Self::Input) -> [Option<&$arg>; 2] {
            let mut args = [$($args),*].into_iter();
            std::array::from_fn(|_| args.next().flatten())
        }

        #[allow(unused_variables)]
        fn limit_timeout(input: &mut Self::Input, timeout: std::time::Duration) {
            let rpc_options: Option<&mut temporalio_client::RpcOptions> =
                rpc_options!(&mut input; $($rpc)*);
            if let Some(rpc_options) = rpc_options {
                $crate::operations::limit(rpc_options, timeout);
            }
        }

        $(
            fn is_long_poll(input: &Self::Input) -> bool {
                let is_long_poll: fn(&Self::Input) -> bool = $long_poll;
                is_long_poll(input)
            }
        )?

        fn error(error: tower_temporal_core::BoxError) -> Self::Error {
            $crate::sdk_error::SdkError::from_status(tower_temporal_core::error::status(error))
        }

        fn kind(error: &Self::Error) -> tower_temporal_core::ErrorKind {
            $crate::sdk_error::SdkError::kind(error)
        }

        fn ending(error: &Self::Error) -> tower_temporal_core::Ending {
            if $crate::sdk_error::SdkError::is_answer(error) {
                tower_temporal_core::Ending::Answered
            } else {
                tower_temporal_core::Ending::Failed
            }
        }
    };
}

/// For the tables: what is so whatever the input.
pub(crate) const fn always<T>(_: &T) -> bool {
    true
}
