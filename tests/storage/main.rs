//! The scripts of `datastore/xcp` and `tm/xcp` through their links, with the arguments and messages that a real
//! oned gave; afterwards the pool is asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod backup;
#[path = "../common/mod.rs"]
mod common;
mod cost;
mod datastore;
mod full;
mod increments;
mod leftovers;
mod life;
mod matrix;
mod matrix_datastore;
mod matrix_tm;
mod releases;
mod site;
mod tm;
