//! The oneport program.

fn main() {}
