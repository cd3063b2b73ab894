//! The methods that the server answers, one module for each of Consul's endpoints.
//!
//! Each is an async function of the [`Server`](crate::Server), the call's head and the request, so
//! that every protocol can call the same ones. An error's message is exactly what net/rpc sends.

pub mod kv;
pub mod status;
