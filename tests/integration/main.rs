//! Every operation, and what surrounds it, against a real Temporal server.
//!
//! One dev server serves all tests of this binary. Each test has its own task queue and its own workflow ids.

mod activity;
mod activity_outbound;
mod activity_service;
mod client;
mod drift;
mod fixtures;
mod http_api;
mod layers;
mod metrics;
mod middleware;
mod misbehaving;
mod otel;
mod propagation;
mod python;
mod ready_made;
mod replay;
mod rpc;
mod service;
mod shutdown;
mod support;
mod trace;
mod workflow;
mod workflow_timeout;
mod written;
