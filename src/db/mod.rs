//! The database: pool, shared connections for reads and the lane of slow ones, typed ids, enumerations, instants, pages by
//! keyset and the search behind those that no index holds, migrations, and the generated `schema.rs`.

pub mod batch;
mod cause;
pub mod enums;
pub mod ids;
mod instant;
pub mod keyset;
pub mod listen;
pub mod migrate;
mod pool;
pub mod private;
mod readers;
pub mod schema;
pub mod search;
mod slow;
pub mod stats;

pub use instant::Instant;
pub use pool::{Connection, Db, PoolOptions, Transaction, retry_conflict};
pub use readers::Reader;
pub use slow::SlowReader;

diesel::define_sql_function! {
    /// The database's lower case, which is that of its indexes and not always Rust's (`ΟΣ`, `İ`).
    fn lower(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
}
