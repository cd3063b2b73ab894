//! The agent.

pub mod config;
pub mod state;

pub use config::Config;
