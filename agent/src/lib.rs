//! The agent: a server that speaks Consul's RPC, and its command line.
//!
//! | module | what it is |
//! |---|---|
//! | [`state`] | keys and values behind a log, as snapshots with watches |
//! | [`queries`] | reads that wait for news |
//! | [`endpoints`] | the methods, one module for each of Consul's endpoints |
//! | [`Server`] | what endpoints stand on |
//! | [`drpc`] | the same methods for programs of this host |
//! | [`Agent`] | all of it behind a port: bound, run and drained |
//! | [`Live`] | what can be changed of it while it runs |
//! | [`admin`] | what is asked of it by HTTP: metrics, state, readiness, reloads |
//! | [`telemetry`] | what it counts, as text and as numbers |
//! | [`cli`] | the command line |
//! | [`Config`] | every setting, as plain data |

pub mod admin;
mod agent;
pub mod cli;
pub mod config;
mod counted;
pub mod drpc;
pub mod endpoints;
mod gate;
mod live;
mod pid_file;
pub mod queries;
mod server;
pub mod state;
pub mod telemetry;

pub use agent::{Agent, StartError};
pub use config::Config;
pub use counted::ROUTE_OPEN;
pub use live::{CallStack, ChangeError, Changed, Live};
pub use pid_file::PidFileError;
pub use server::Server;
