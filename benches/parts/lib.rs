//! There is nothing in it: see `benches/parts.rs`.
