//! Sign-in and one's own account: Telegram sign-in, tokens, sessions, `me`.

pub mod graphql;
