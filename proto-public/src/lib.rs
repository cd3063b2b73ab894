//! Public gRPC APIs.
