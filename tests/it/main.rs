//! Every test, through the public face against a real PostgreSQL.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod access;
mod accounts;
mod attention;
mod audit;
mod audit_rows;
mod availabilities;
mod blocks;
mod bookings;
mod bookings_parallel;
mod bookings_time;
mod boundary;
mod catalog;
mod crash;
mod crossing;
mod crowds;
mod demo;
mod disputes;
mod email_codes;
mod email_sign_in;
mod erasure;
mod error_bodies;
mod forged_tokens;
mod generated;
mod graphiql;
mod growing_lists;
mod http_graphql;
mod http_life;
mod http_surroundings;
mod jobs;
mod journey;
mod keyset_lists;
mod keyset_plans;
mod limits;
mod linking;
mod mail;
mod media;
mod migrations;
mod money_back;
mod nodes;
mod payments;
mod pooler;
mod private_postgres;
mod providers;
mod providers_search;
mod read_plans;
mod readers;
mod refused_documents;
mod reports;
mod reviews;
mod roles;
mod sandbox_page;
mod schema_graphql;
mod schema_rs;
mod server_process;
mod statement_counts;
mod stripe_gateway;
mod structure;
mod support;
mod suspension;
mod two_processes;
mod users;
mod webhooks;
