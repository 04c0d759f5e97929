//! Values in Temporal headers. What can't be read or written is logged, and the call goes on without it.

use std::fmt;
use temporalio_common::data_converters::{
    GenericPayloadConverter, PayloadConversionError, PayloadConverter, SerializationContext,
    SerializationContextData, TemporalDeserializable, TemporalSerializable,
};
use tower_temporal_core::{BoxError, Operation, Request};

/// The value of the header `name`, if the call has it.
pub(crate) fn read<O, T>(
    request: &Request<O>,
    name: &'static str,
    converter: &PayloadConverter,
) -> Option<T>
where
    O: Operation,
    T: TemporalDeserializable + 'static,
{
    let payload = request.headers().get(name)?.clone();
    match convert(converter, |context| {
        converter.from_payload(context, payload)
    }) {
        Ok(value) => Some(value),
        Err(error) => {
            warn::<O>(name, "can't be decoded", &error);
            None
        }
    }
}

/// Sets the header `name`, over what was there.
pub(crate) fn write<O, T>(
    request: &mut Request<O>,
    name: &'static str,
    value: &T,
    converter: &PayloadConverter,
) where
    O: Operation,
    T: TemporalSerializable + 'static,
{
    let result = convert(converter, |context| converter.to_payload(context, value))
        .map_err(BoxError::from)
        .and_then(|payload| Ok(request.headers_mut().insert(name, payload)?));
    if let Err(error) = result {
        warn::<O>(name, "can't be encoded", &error);
    }
}

fn convert<T>(
    converter: &PayloadConverter,
    convert: impl FnOnce(&SerializationContext<'_>) -> Result<T, PayloadConversionError>,
) -> Result<T, PayloadConversionError> {
    convert(&SerializationContext::new(
        &SerializationContextData::None,
        converter,
    ))
}

fn warn<O: Operation>(header: &'static str, what: &str, error: &dyn fmt::Display) {
    tracing::warn!(
        operation = O::NAME,
        header,
        %error,
        "the header {what}; the call goes on without it"
    );
}
