//! Ready-made middleware for Temporal calls.
//!
//! Each layer is written once and serves every operation of every category where it makes sense. Each has a cargo feature
//! of its own:
//!
//! | layer | feature | what it does | in workflows |
//! |---|---|---|---|
//! | [`AuditLayer`](audit::AuditLayer) | `audit` | a record of every call, to a sink of yours | yes |
//! | [`AuthorizeLayer`](authorize::AuthorizeLayer) | `authorize` | lets only those calls pass that a policy allows | yes |
//! | [`AsyncAuthorizeLayer`](authorize::AsyncAuthorizeLayer) | `authorize` | the same, for a policy that has to ask | no |
//! | [`CatchPanicLayer`](catch_panic::CatchPanicLayer) | `catch-panic` | makes errors of panics | no |
//! | [`DedupLayer`](dedup::DedupLayer) | `dedup` | answers a repeated activity from a store | no |
//! | [`RateLimitLayer`](limit::RateLimitLayer) | `limit` | how often calls are made | no |
//! | [`KeyedRateLimitLayer`](limit::KeyedRateLimitLayer) | `limit` | the same, by a key from the request | no |
//! | [`ConcurrencyLimitLayer`](limit::ConcurrencyLimitLayer) | `limit` | how many calls are made at a time | no |
//! | [`KeyedConcurrencyLimitLayer`](limit::KeyedConcurrencyLimitLayer) | `limit` | the same, by a key from the request | no |
//! | [`MapErrorLayer`](map_error::MapErrorLayer) | `map-error` | says how failures are reported and retried | yes |
//! | [`MetricsLayer`](metrics::MetricsLayer) | `metrics` | counts and times every call | yes |
//! | [`ScheduleToStartLatencyLayer`](metrics::ScheduleToStartLatencyLayer) | `metrics` | how long activities wait for a worker | |
//! | [`OtelLayer`](otel::OtelLayer) | `otel` | OpenTelemetry spans, and their context in a Temporal header | yes |
//! | [`PropagationLayer`](propagation::PropagationLayer) | `propagation` | carries a typed value in a Temporal header | yes |
//! | [`TimeoutLayer`](timeout::TimeoutLayer) | `timeout` | deadlines of a client's requests and of activities | no |
//! | [`TraceLayer`](trace::TraceLayer) | `trace` | a `tracing` span around every call | yes |
//! | [`ValidateLayer`](validate::ValidateLayer) | `validate` | looks at typed arguments | yes |
//!
//! Audit, authorization, validation and error mapping are made of [`Intercept`](tower_temporal_core::Intercept), the concurrency and
//! keyed limits and the authorization that asks of [`gate::Gate`]. Your own can be too.
//!
//! # Together
//!
//! The program `policies` of the repository's examples pays out money with most of them: alice may start payouts and stop them,
//! bob approves what is a lot, and nobody else may do anything. Amounts are positive, a payee is paid at most once every three
//! seconds and never one whom the police want, the bank takes one call at a time and has two seconds to answer, a workflow waits five seconds for it, what it
//! has declined is not tried again, and the only child of a payout is its receipt. A layer panics on the first attempt to pay
//! carol, and the report of the first payment to dave is lost. This is what it prints, beside the panic:
//!
//! ```text
//! mallory pays 1000 to mallory
//!   denied: mallory may not start_workflow a Payout, in 0.0s
//! alice pays -5 to bob
//!   invalid: -5 can't be paid, in 0.0s
//! alice pays 10 to bob
//!     the bank is asked to pay 10 to bob
//!   paid 10 to bob, with a receipt, in 0.2s
//! alice pays 20 to bob
//!     the bank is asked to pay 20 to bob
//!   paid 20 to bob, with a receipt, in 3.0s
//! alice pays 30 to carol
//!     the bank is asked to pay 30 to carol
//!   paid 30 to carol, with a receipt, in 3.2s
//! alice pays 40 to dave
//!     the bank is asked to pay 40 to dave
//!   paid 40 to dave, with a receipt, in 3.1s
//! alice pays 50 to erin
//!     the bank is asked to pay 50 to erin
//!   request timed out, in 1.5s
//! alice pays 60 to frank
//!     the bank is asked to pay 60 to frank
//!   the bank has declined it, in 0.0s
//! alice pays 70 to grace
//!     the bank is asked to pay 70 to grace
//!   denied: `start_child_workflow` of `Bonus` is not allowed, in 0.1s
//! alice pays 80 to ivan
//!     the bank is asked to pay 80 to ivan
//!     the bank is asked to pay 80 to ivan
//!   request timed out, in 5.0s
//! alice pays 90 to judy
//!   denied: judy is wanted by the police, in 0.1s
//! alice pays 25 to carl
//! alice pays 35 to dora
//!     the bank is asked to pay 25 to carl
//!     the bank is asked to pay 35 to dora
//!   paid 25 to carl, with a receipt, in 0.7s
//!   paid 35 to dora, with a receipt, in 1.2s
//! alice pays 500 to henry
//!   mallory stops it
//!   mallory approves it
//!     denied: mallory may not handle_update a Payout
//!   bob approves it
//!     the bank is asked to pay 500 to henry
//!   paid 500 to henry, with a receipt, in 0.2s
//! alice pays 600 to kate
//!   alice stops it
//!   stopped, in 0.1s
//!
//! The records:
//!   mallory  start_workflow        payout-1-mallory                   Failed(Denied)
//!   alice    start_workflow        payout-2-bob                       Failed(Invalid)
//!   alice    start_workflow        payout-3-bob                       Completed
//!   alice    execute_activity      payout-3-bob            attempt 1  Completed
//!   alice    start_child_workflow  receipt-payout-3-bob               Completed
//!   alice    start_workflow        payout-4-bob                       Completed
//!   alice    execute_activity      payout-4-bob            attempt 1  Failed(Overloaded)
//!   alice    execute_activity      payout-4-bob            attempt 2  Completed
//!   alice    start_child_workflow  receipt-payout-4-bob               Completed
//!   alice    start_workflow        payout-5-carol                     Completed
//!   alice    execute_activity      payout-5-carol          attempt 1  Failed(Panicked)
//!   alice    execute_activity      payout-5-carol          attempt 2  Failed(Overloaded)
//!   alice    execute_activity      payout-5-carol          attempt 3  Completed
//!   alice    start_child_workflow  receipt-payout-5-carol             Completed
//!   alice    start_workflow        payout-6-dave                      Completed
//!   alice    execute_activity      payout-6-dave           attempt 1  Failed(Other)
//!   alice    execute_activity      payout-6-dave           attempt 2  Failed(Overloaded)
//!   alice    execute_activity      payout-6-dave           attempt 3  Completed
//!   alice    start_child_workflow  receipt-payout-6-dave              Completed
//!   alice    start_workflow        payout-7-erin                      Completed
//!   alice    execute_activity      payout-7-erin           attempt 1  Failed(DeadlineExceeded)
//!   alice    start_workflow        payout-8-frank                     Completed
//!   alice    execute_activity      payout-8-frank          attempt 1  Failed(Other)
//!   alice    start_workflow        payout-9-grace                     Completed
//!   alice    execute_activity      payout-9-grace          attempt 1  Completed
//!   alice    start_child_workflow  receipt-payout-9-grace             Completed
//!   alice    start_child_workflow  bonus-payout-9-grace               Failed(Denied)
//!   alice    start_workflow        payout-10-ivan                     Completed
//!   alice    execute_activity      payout-10-ivan          attempt 1  Failed(Other)
//!   alice    execute_activity      payout-10-ivan          attempt 2  Failed(Overloaded)
//!   alice    execute_activity      payout-10-ivan          attempt 3  Failed(Other)
//!   alice    execute_activity      payout-10-ivan          attempt 4  Failed(Overloaded)
//!   alice    start_workflow        payout-11-judy                     Completed
//!   alice    execute_activity      payout-11-judy          attempt 1  Failed(Denied)
//!   alice    start_workflow        payout-12-carl                     Completed
//!   alice    start_workflow        payout-13-dora                     Completed
//!   alice    execute_activity      payout-12-carl          attempt 1  Completed
//!   alice    start_child_workflow  receipt-payout-12-carl             Completed
//!   alice    execute_activity      payout-13-dora          attempt 1  Completed
//!   alice    start_child_workflow  receipt-payout-13-dora             Completed
//!   alice    start_workflow        payout-14-henry                    Completed
//!   mallory  handle_signal         payout-14-henry                    Failed(Denied)
//!   mallory  handle_update         payout-14-henry                    Failed(Denied)
//!   bob      handle_update         payout-14-henry                    Completed
//!   alice    execute_activity      payout-14-henry         attempt 1  Completed
//!   alice    start_child_workflow  receipt-payout-14-henry            Completed
//!   alice    start_workflow        payout-15-kate                     Completed
//!   alice    handle_signal         payout-15-kate                     Completed
//! ```
//!
//! - `AuthorizeLayer` keeps mallory's payout from being started, her signal and her update from what they are for, and grace from a
//!   bonus. Her signal is dropped, and henry's payout goes on.
//! - `ValidateLayer` refuses a negative amount, `AsyncAuthorizeLayer` payments to judy.
//! - `KeyedRateLimitLayer` tells bob's second payout, as the second attempts for carol and dave, when to come again.
//! - `ConcurrencyLimitLayer` has dora's payout wait for carl's.
//! - `CatchPanicLayer` makes a failure of the panic, that is tried again.
//! - `DedupLayer` has dave paid once: his third attempt was answered from the store.
//! - `TimeoutLayer` ends erin's payout half a second before the server would, and the worker crate's `workflow::TimeoutLayer` ivan's,
//!   attempts and all.
//! - `MapErrorLayer` makes final that frank's was declined.
//! - `AuditLayer` has written the records, and `PropagationLayer` brought the users to where they are checked.

#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "authorize")]
pub mod authorize;
mod call_info;
#[cfg(feature = "catch-panic")]
pub mod catch_panic;
#[cfg(feature = "dedup")]
pub mod dedup;
pub mod gate;
#[cfg(any(feature = "otel", feature = "propagation"))]
mod header;
pub mod key;
#[cfg(feature = "limit")]
pub mod limit;
#[cfg(feature = "map-error")]
pub mod map_error;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "otel")]
pub mod otel;
#[cfg(feature = "propagation")]
pub mod propagation;
#[cfg(all(
    test,
    any(
        feature = "audit",
        feature = "metrics",
        feature = "otel",
        feature = "trace"
    )
))]
mod test_support;
#[cfg(feature = "timeout")]
pub mod timeout;
#[cfg(feature = "trace")]
pub mod trace;
#[cfg(feature = "validate")]
pub mod validate;

pub use self::call_info::{CallInfo, Failure, Outcome};
