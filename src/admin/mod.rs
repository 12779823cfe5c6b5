//! What people run by hand.

#[cfg(feature = "simulator")]
pub mod demo;
pub mod ls;
mod text;
