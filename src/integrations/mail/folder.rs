//! Mail of development: into the log, and as `.eml` files that any mail program opens.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use lettre::message::Mailbox;
use tokio::fs;

use super::{Mail, MailError, Mailer, MailerError, message::message};

/// [`Mailer`] that writes files and log lines, codes included: never in production.
#[derive(Clone, Debug)]
pub struct FolderMailer {
    folder: PathBuf,
    from: Mailbox,
}

impl FolderMailer {
    /// A mailer into this folder, which is made when the first mail comes.
    ///
    /// # Errors
    /// [`MailerError::From`]; never, since the address is ours.
    pub fn new(folder: &Path, name: &str) -> Result<Self, MailerError> {
        let address = "no-reply@localhost"
            .parse()
            .map_err(|_| MailerError::From)?;
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        Ok(Self {
            folder: folder.to_owned(),
            from: Mailbox::new(name, address),
        })
    }
}

#[async_trait]
impl Mailer for FolderMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.from)?;
        // By time first, so that the newest is the last in the folder.
        let name = format!("{}-{}.eml", mail.sent_at.strftime("%Y%m%dT%H%M%S"), mail.id);
        let path = self.folder.join(name);
        let write = async {
            fs::create_dir_all(&self.folder).await?;
            fs::write(&path, message.formatted()).await
        };
        write
            .await
            .map_err(|error| MailError::Later(format!("{}: {error}", path.display())))?;
        let Mail {
            to, subject, text, ..
        } = mail;
        tracing::info!(%to, %subject, file = %path.display(), "mail (development: it goes no further)\n{text}");
        Ok(())
    }
}
