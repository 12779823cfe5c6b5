//! The network driver's scripts through their links, with what a real oned sent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;

mod closed;
mod networks;
mod packets;
mod request;
mod switch;
