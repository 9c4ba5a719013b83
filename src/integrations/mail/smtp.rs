//! Mail over SMTP, in TLS from the start or after STARTTLS, with lettre and rustls.
//!
//! Each mail has a connection of its own: mails are few, and one that was kept open is the first to be found dead.

use std::{fs, time::Duration};

use async_trait::async_trait;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    message::Mailbox,
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::ExposeSecret;

use super::{Mail, MailError, Mailer, MailerError, message::message};
use crate::config::{SmtpSecurity, SmtpSettings};

/// [`Mailer`] over a mail server of the settings.
#[derive(Clone, Debug)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
}

impl SmtpMailer {
    /// A mailer that names itself `own_name` to the server; connects when it sends.
    ///
    /// # Errors
    /// [`MailerError`] when the settings don't fit together with this machine.
    pub fn new(settings: &SmtpSettings, own_name: &str) -> Result<Self, MailerError> {
        let from = settings.from.parse().map_err(|_| MailerError::From)?;
        let host = &settings.host;
        let tls = match settings.security {
            SmtpSecurity::None => Tls::None,
            SmtpSecurity::StartTls => Tls::Required(tls(settings)?),
            SmtpSecurity::Tls => Tls::Wrapper(tls(settings)?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(settings.port)
            .tls(tls)
            .hello_name(ClientId::Domain(own_name.to_owned()))
            .timeout(Some(settings.timeout));
        if let Some((user, password)) = &settings.credentials {
            transport = transport.credentials(Credentials::new(
                user.clone(),
                password.expose_secret().to_owned(),
            ));
        }
        Ok(Self {
            transport: transport.build(),
            from,
            timeout: settings.timeout,
        })
    }
}

/// The system's certificates, and those of the file that the settings name.
fn tls(settings: &SmtpSettings) -> Result<TlsParameters, MailerError> {
    let mut parameters = TlsParameters::builder(settings.host.clone());
    if let Some(file) = &settings.ca_file {
        let wrong = |error: &dyn std::fmt::Display| MailerError::CaFile(error.to_string());
        let pem = fs::read(file).map_err(|error| wrong(&error))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
        parameters = parameters.add_root_certificate(certificate);
    }
    parameters
        .build_rustls()
        .map_err(|error| MailerError::Tls(error.to_string()))
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = message(mail, &self.from)?;
        // lettre's own limit is for each step; a server that is slow in all of them must not outlast the job's lease.
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(judged(&error)),
            Err(_) => Err(MailError::Later("the mail server took too long".to_owned())),
        }
    }
}

/// Whose fault it is. The recipient's or the mail's own only where the server says so for good and not about who we
/// are: a wrong password of ours (530, 534, 535, 538) or a command that it does not know (500 to 504) is put right by
/// an operator, and the mail waits for that.
fn judged(error: &SmtpError) -> MailError {
    let Some(status) = error.status() else {
        let what = if error.is_timeout() {
            "the mail server took too long"
        } else if error.is_tls() {
            "TLS with the mail server failed"
        } else if error.is_response() {
            "the mail server's answer can't be read"
        } else if error.is_client() {
            "the mail server offers no way that our settings allow (STARTTLS, sign-in)"
        } else {
            "the mail server is not reached"
        };
        return MailError::Later(what.to_owned());
    };
    let answer = format!("the mail server answered {status}");
    let ours = matches!(
        status.to_string().as_str(),
        "500" | "501" | "502" | "503" | "504" | "530" | "534" | "535" | "538"
    );
    if error.is_permanent() && !ours {
        MailError::Refused(answer)
    } else {
        MailError::Later(answer)
    }
}
