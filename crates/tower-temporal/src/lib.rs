//! tower-temporal
