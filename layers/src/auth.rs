//! Who may call: authentication and authorisation.
//!
//! An [`AuthLayer`] asks an [`Authorize`] about each call. What it finds out, the caller's
//! [`Identity`], is written into the call's head, where further layers and the endpoint find it;
//! what may not pass is refused. Where the facts that a decision needs are missing, it is no.
//!
//! | ready-made | who the caller is | decides by |
//! |---|---|---|
//! | [`Tokens`] | the holder of a token | a static table of tokens and their [`Rules`] |
//! | [`ClientCerts`] | the holder of a TLS client certificate | its common name, DNS names, SPIFFE id |
//! | [`UnixPeers`] | a user of this host | uid and gid, as the kernel vouches for them |
//! | [`Networks`] | unknown | allowed and denied networks |
//!
//! # Two places
//! The layer knows the method of a call and nothing of its body, so rules about methods are
//! enforced here. Which key a request is about only its endpoint knows. So an identity carries what
//! was granted to it, and the endpoint asks [`Head::may`](oneport_proto::Head::may), which fails
//! with the text of Consul 1.13. No identity and no grant mean no.
//!
//! ```
//! use std::sync::Arc;
//! use oneport_layers::auth::{AuthLayer, Level, Rules, TokenEntry, TokenTable, Tokens};
//! use oneport_proto::{Access, BoxError, Call, Class, Family, Head, Method, MethodInfo, Resource};
//! use oneport_proto::{Session, Token};
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), BoxError> {
//! let tokens = Tokens::new(TokenTable {
//!     tokens: vec![TokenEntry {
//!         secret: Token::new(b"8bd9d5e6").ok_or("no secret")?,
//!         accessor: "6a1253d2-1785-24fd-91c2-f8e78c745511".into(),
//!         name: "web".into(),
//!         rules: Rules::default().key_prefix("web/", Level::Write),
//!     }],
//!     ..TokenTable::default()
//! })?;
//! // An endpoint: it knows which key the call is about.
//! let put = service_fn(|request: http::Request<&'static str>| async move {
//!     let head = request.head().ok_or("no head")?;
//!     head.may(Access::Write, Resource::Key, request.body().as_bytes())?;
//!     Ok::<_, BoxError>("stored")
//! });
//! let guarded = AuthLayer::new(tokens).layer(put);
//!
//! let method = Method::Known(MethodInfo::intern(Family::Grpc, "/kv/Put", Class::Write)?);
//! let put = |key, token: &'static str| {
//!     let mut request = http::Request::new(key);
//!     let mut head = Head::new(method, Session::in_process(), tokio::time::Instant::now());
//!     head.token = Token::new(token.as_bytes());
//!     request.extensions_mut().insert(head);
//!     guarded.clone().oneshot(request)
//! };
//! assert_eq!(put("web/a", "8bd9d5e6").await?, "stored");
//! assert_eq!(
//!     put("db/a", "8bd9d5e6").await.unwrap_err().to_string(),
//!     "Permission denied: token with AccessorID '6a1253d2-1785-24fd-91c2-f8e78c745511' \
//!      lacks permission 'key:write' on \"db/a\""
//! );
//! let unknown = put("web/a", "guess").await.unwrap_err();
//! assert!(unknown.to_string().contains("ACL not found"), "{unknown}");
//! # Ok(()) }
//! ```
//!
//! [`Identity`]: oneport_proto::Identity

mod authorize;
mod cached;
mod certs;
mod layer;
mod networks;
mod rules;
mod tokens;
mod unix;

pub use authorize::{Authorize, Decision, Never, Verdict};
pub use cached::{CACHED, CACHED_FOR, Cached, Remembering};
pub use certs::{CertName, ClientCerts};
pub use layer::{Auth, AuthFuture, AuthLayer};
pub use networks::{NetworkError, Networks};
pub use rules::{Level, Rules};
pub use tokens::{ANONYMOUS_ACCESSOR, MAX_TOKENS, TokenEntry, TokenTable, TokenTableError, Tokens};
pub use unix::UnixPeers;
