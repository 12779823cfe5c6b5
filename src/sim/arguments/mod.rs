//! The command line of `xe`: what the client takes for itself, and what the server makes of the rest.

mod client;
mod command;
mod taking;
mod value;

pub use client::{Client, Request, client, defaults, usage};
pub use command::Command;
pub use value::bytes;
