//! The agent: a server that speaks Consul's RPC, and its command line.
//!
//! | module | what it is |
//! |---|---|
//! | [`state`] | keys and values behind a log, as snapshots with watches |
//! | [`queries`] | reads that wait for news |
//! | [`endpoints`] | the methods, one module for each of Consul's endpoints |
//! | [`Server`] | what endpoints stand on |
//! | [`Agent`] | all of it behind a port: bound, run and drained |
//! | [`cli`] | the command line |
//! | [`Config`] | every setting, as plain data |

mod agent;
pub mod cli;
pub mod config;
pub mod endpoints;
pub mod queries;
mod server;
pub mod state;

pub use agent::{Agent, StartError};
pub use config::Config;
pub use server::Server;
