//! One random program to the real Consul and to ours, and what the two answered.

pub(crate) mod both;
pub(crate) mod case;
pub(crate) mod compare;
pub(crate) mod dice;
pub(crate) mod difference;
pub(crate) mod generate;
pub(crate) mod item;
pub(crate) mod lockstep;
pub(crate) mod mask;
pub(crate) mod odd;
pub(crate) mod proxy;
pub(crate) mod ranks;
pub(crate) mod run;
pub(crate) mod runner;
pub(crate) mod scan;
pub(crate) mod shrink;
pub(crate) mod sight;
pub(crate) mod step;
pub(crate) mod talk;
pub(crate) mod waiting;
pub(crate) mod wire;
#[path = "../golden/yamux.rs"]
#[allow(dead_code, reason = "what replays need is another test's")]
pub(crate) mod yamux;

pub(crate) use crate::matrix::msgpack;
