//! Every test, through the public face against a real PostgreSQL.

mod graphiql;
