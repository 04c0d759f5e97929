//! What the compiler says of a layer that may not go into a workflow's stack.
//!
//! What may is in the tests of the crate `tower-temporal`. After a change of messages:
//! `TRYBUILD=overwrite cargo test -p tower-temporal-core --test replay_safety`.

#[test]
fn a_layer_that_is_not_replay_safe_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/replay_safety/*.rs");
}
