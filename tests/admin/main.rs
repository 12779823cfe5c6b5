//! What people run by hand: the first things that a newcomer sees, and what keeps a pool in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod demo;
mod dispatch;
mod doctor;
mod doctor_try;
mod gc;
mod ls;
