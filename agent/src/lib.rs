//! The agent.

pub mod state;
