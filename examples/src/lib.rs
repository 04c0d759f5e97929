//! What programs and tests of this project share: the parts of the larger examples.

pub mod http_api;
