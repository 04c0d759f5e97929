//! tower-temporal-worker
