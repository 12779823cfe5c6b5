//! What people run by hand.

pub mod claims;
#[cfg(feature = "simulator")]
pub mod demo;
pub mod doctor;
pub mod gc;
pub mod ls;
mod text;
