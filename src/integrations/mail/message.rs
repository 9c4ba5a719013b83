//! A mail as a message of RFC 5322: plain text and HTML of the same words, with nothing to fetch.

use std::time::SystemTime;

use lettre::{
    Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{Mail, MailError};

/// The message, from `from`.
///
/// # Errors
/// [`MailError::Refused`] for an address that lettre does not take: no server would either.
pub(super) fn message(mail: &Mail, from: &Mailbox) -> Result<Message, MailError> {
    let refused = |what: &str| MailError::Refused(what.to_owned());
    let to = mail
        .to
        .parse()
        .map_err(|_| refused("the address is none"))?;
    let raw = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(&mail.subject)
        .date(SystemTime::from(mail.sent_at))
        .message_id(Some(format!("<{}@{}>", mail.id, from.email.domain())))
        .raw_header(raw("Content-Language", mail.language))
        // No out-of-office answer, please (RFC 3834).
        .raw_header(raw("Auto-Submitted", "auto-generated"))
        .multipart(
            MultiPart::alternative()
                // Any that is in no part, which are encoded whenever they hold a longer line; from the id, because
                // randomness is drawn in one place only.
                .boundary(format!("=_{}", mail.id))
                .singlepart(SinglePart::plain(mail.text.clone()))
                .singlepart(SinglePart::html(mail.html.clone())),
        )
        .map_err(|_| refused("it is no message"))
}
