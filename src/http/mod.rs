//! Everything that speaks HTTP: no SQL here.

pub mod graphiql;
