//! HashiCorp yamux: many streams over one connection.

pub mod frame;
