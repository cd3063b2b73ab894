//! What the server knows: tables behind a log, read as snapshots, watched by key and prefix.
//!
//! Every change is a [`Command`]. The [`Log`] gives it an index and applies it to the [`Store`],
//! which publishes a new [`Snapshot`] and wakes whoever [watches](Watch) something that changed.
//! Readers take a snapshot and are never in a writer's way.
//!
//! ```
//! use std::sync::Arc;
//! use oneport_agent::state::{Command, Entry, KvOp, Log, Store, Target};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = Arc::new(Store::new());
//! let log = Log::elected(Arc::clone(&store));
//! let watch = store.watch(Target::Prefix("color/".into()));
//! let changed = watch.changed();
//!
//! let entry = Entry::new("color/sky", "blue");
//! log.propose(Command::Kv(KvOp::Set, entry)).await.unwrap();
//!
//! changed.await;
//! let snapshot = store.snapshot();
//! let sky = snapshot.kv().get(b"color/sky").unwrap();
//! assert_eq!(sky.value.as_deref(), Some(b"blue".as_slice()));
//! assert_eq!(sky.modify_index, snapshot.last_index());
//! # }
//! ```

mod command;
mod entry;
mod kv;
mod log;
mod reaper;
mod snapshot;
mod store;
mod watch;

pub use command::{ApplyError, Command, KvOp};
pub use entry::Entry;
pub use kv::{KvTable, Listed};
pub use log::Log;
pub use reaper::Reaper;
pub use snapshot::Snapshot;
pub use store::Store;
pub use watch::{Target, Watch};
