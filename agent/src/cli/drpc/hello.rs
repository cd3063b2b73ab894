//! The messages of `proto/drpc/hello.proto`.

/// Who is to be greeted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Hello {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// The greeting.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct HelloResponse {
    #[prost(string, tag = "1")]
    pub(super) greeting: String,
}
