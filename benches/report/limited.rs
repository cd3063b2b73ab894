//! The agent with all its layers at work.

use std::time::Duration;

use oneport::{
    Port, Sniff,
    layers::{
        bucket::{Limit, Rate},
        rate_limit::Mode,
    },
};
use oneport_agent::Agent;

use crate::calls::{config, filled};

/// An agent with every limit set, each too high to be met, and with somewhere to read the
/// metrics, so that they are recorded.
pub(crate) async fn agent() -> Agent {
    const HIGH: f64 = 1e8;
    const LONG: Duration = Duration::from_secs(3600);
    const MANY: usize = 1 << 20;
    let mut config = config();
    config.metrics_addr = Some(([127, 0, 0, 1], 0).into());
    let high = Limit::per_second(Rate::per_second(HIGH).unwrap());
    let stack = &mut config.stack;
    stack.rates.mode = Mode::Enforcing;
    stack.rates.rpc = high;
    stack.rates.read = high;
    stack.rates.write = high;
    stack.rates.source = high;
    stack.rates.identity = high;
    stack.timeouts.read = LONG;
    stack.timeouts.write = LONG;
    stack.timeouts.exempt = LONG;
    stack.in_flight.calls = MANY;
    stack.in_flight.calls_per_connection = MANY;
    stack.in_flight.waiting = MANY;
    stack.in_flight.waiting_per_connection = MANY;
    filled(config).await
}

/// What the agent's port does with a connection, whatever that runs over: all layers stand in front
/// of the methods.
pub(crate) fn layered(agent: &Agent) -> Sniff<Port> {
    Sniff::new(agent.port().clone())
}
