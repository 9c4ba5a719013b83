//! Mail on its way out: over SMTP, or in development into the log and a folder.
//!
//! What is in a mail, and to whom it goes, is a feature's business; here it becomes a message and leaves. Nothing is
//! tried twice and nothing is kept: the job queue does both.

mod folder;
mod message;
mod smtp;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::config::Config;

pub use folder::FolderMailer;
pub use smtp::SmtpMailer;

/// A mail to one person. It may hold a code, therefore it has no `Debug`.
#[derive(Clone)]
pub struct Mail {
    /// Names the mail: the same for each try to send it, so that a receiver knows a repeat. Letters, digits and `_`.
    pub id: String,
    /// The address.
    pub to: String,
    /// The language of its words (BCP 47).
    pub language: &'static str,
    /// One line.
    pub subject: String,
    /// The words as plain text.
    pub text: String,
    /// The same words as HTML.
    pub html: String,
    /// When it was sent, for its date.
    pub sent_at: Timestamp,
}

/// Why a mail did not leave. The texts are for the log: no address, no word of the mail, and nothing of what a server
/// said, which may repeat both.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Later it may: the server is away, busy, or set up in another way than we are.
    #[error("the mail did not leave: {0}")]
    Later(String),
    /// This mail will never be taken.
    #[error("the mail was refused: {0}")]
    Refused(String),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Whether mail can be sent at all.
    fn is_configured(&self) -> bool {
        true
    }

    /// Sends one mail.
    ///
    /// # Errors
    /// [`MailError`].
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// Stands in production for the mailer that nobody set up.
#[derive(Clone, Copy, Debug)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    fn is_configured(&self) -> bool {
        false
    }

    async fn send(&self, _mail: &Mail) -> Result<(), MailError> {
        Err(MailError::Later("SMTP_HOST is not set".to_owned()))
    }
}

/// Why a mailer can't be made of the settings.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The sender's address is none.
    #[error("SMTP_FROM is no e-mail address")]
    From,
    /// The file of certificates.
    #[error("SMTP_CA_FILE can't be used: {0}")]
    CaFile(String),
    /// The TLS library.
    #[error("TLS for mail can't be set up: {0}")]
    Tls(String),
}

/// The mailer of the settings: SMTP where a host is named, else in development the folder, in production none.
///
/// # Errors
/// [`MailerError`].
pub fn mailer(config: &Config) -> Result<Arc<dyn Mailer>, MailerError> {
    let host = config.base_url.host_str().unwrap_or("localhost");
    match &config.smtp {
        Some(settings) => Ok(Arc::new(SmtpMailer::new(settings, host)?)),
        None if config.is_production() => Ok(Arc::new(NoMailer)),
        None => Ok(Arc::new(FolderMailer::new(
            &config.mail_dir,
            &config.app_title,
        )?)),
    }
}
