//! The level of a span or an event is part of its call site, so one that is known only later needs a site for each.

macro_rules! span_at {
    ($level:expr, $($span:tt)+) => {
        match $level {
            tracing::Level::ERROR => tracing::span!(tracing::Level::ERROR, $($span)+),
            tracing::Level::WARN => tracing::span!(tracing::Level::WARN, $($span)+),
            tracing::Level::INFO => tracing::span!(tracing::Level::INFO, $($span)+),
            tracing::Level::DEBUG => tracing::span!(tracing::Level::DEBUG, $($span)+),
            tracing::Level::TRACE => tracing::span!(tracing::Level::TRACE, $($span)+),
        }
    };
}

macro_rules! event_at {
    ($level:expr, $($event:tt)+) => {
        match $level {
            tracing::Level::ERROR => tracing::event!(tracing::Level::ERROR, $($event)+),
            tracing::Level::WARN => tracing::event!(tracing::Level::WARN, $($event)+),
            tracing::Level::INFO => tracing::event!(tracing::Level::INFO, $($event)+),
            tracing::Level::DEBUG => tracing::event!(tracing::Level::DEBUG, $($event)+),
            tracing::Level::TRACE => tracing::event!(tracing::Level::TRACE, $($event)+),
        }
    };
}

pub(super) use {event_at, span_at};
