//! tower-temporal-layers
