//! What may go into a workflow's stack, and what the compiler says of what may not.
//!
//! After a change of messages: `TRYBUILD=overwrite cargo test -p tower-temporal --test replay_safety`.

#[test]
fn what_is_safe_compiles_and_what_is_not_is_explained() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/replay_safety/pass/*.rs");
    tests.compile_fail("tests/replay_safety/fail/*.rs");
}
