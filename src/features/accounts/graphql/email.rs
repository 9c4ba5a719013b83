//! Sign-in by e-mail address and password in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputObject, Object, SimpleObject};

use super::{
    super::{
        email::{self, Registration},
        model::codes,
    },
    AuthPayload, Language, Me,
};
use crate::{
    auth::passwords::Password,
    db::retry_conflict,
    error::{self, Result},
    features::{audit::service::refusal, users::model as users},
    graphql::{
        context::ContextExt,
        scalars::EmailAddress,
        user_error::{UserError, outcome},
    },
    payload,
};

/// What a code by e-mail is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum EmailCodePurpose {
    /// To prove the address of `authRegister`, once more.
    SignUp,
    /// To set a new password by `passwordReset`.
    PasswordReset,
    /// To add the address to your account by `accountLinkEmail`; the request must be signed in.
    Link,
}

/// Who wants an account.
#[derive(InputObject)]
pub struct AuthRegisterInput {
    /// The address, which a code proves.
    pub email: EmailAddress,
    /// 8 to 256 characters, none of the commonest; it is taken unchanged.
    #[graphql(secret)]
    pub password: String,
    /// The name that everyone sees, 1 to 100 characters.
    pub display_name: String,
    /// A unique handle to sign in by as well: 3 to 32 of a–z, 0–9 and `_`, starting with a letter.
    pub username: Option<String>,
    /// The language of texts and mails.
    #[graphql(default_with = "Language::En")]
    pub language: Language,
}

/// A change of one's own password.
#[derive(InputObject)]
pub struct PasswordChangeInput {
    /// The password of now, unchanged.
    #[graphql(secret)]
    pub current_password: String,
    /// 8 to 256 characters, none of the commonest and not the password of now; it is taken unchanged.
    #[graphql(secret)]
    pub new_password: String,
}

/// What `authRegister` or `emailCodeSend` did. It says nothing of whether the address has an account.
#[derive(SimpleObject)]
pub struct EmailSentPayload {
    /// Whether a mail is on its way: a code, or word that the address has an account already.
    pub email_sent: bool,
    /// Why nothing was sent; empty on success.
    pub user_errors: Vec<UserError>,
}

impl EmailSentPayload {
    fn of(result: error::Result<()>) -> Result<Self> {
        let (done, user_errors) = outcome(result)?;
        Ok(Self {
            email_sent: done.is_some(),
            user_errors,
        })
    }
}

payload! {
    /// What `passwordChange` did.
    PasswordChangePayload {
        /// The person.
        me: Me
    }
}

/// Mutations of sign-in by e-mail address.
#[derive(Default)]
pub struct EmailMutations;

#[Object]
impl EmailMutations {
    /// Has a code of 6 digits mailed to an address that shall get an account; `emailVerify` makes it. The answer is the
    /// same for an address that has one, whose mail says so. A code works for 10 minutes and three tries. Codes:
    /// `INVALID_INPUT`, `ALREADY_EXISTS` (the username), `TOO_MANY_ATTEMPTS` (a code was sent less than 60 s ago, or ten today; `details.retryAfterMs`).
    async fn auth_register(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who.")] input: AuthRegisterInput,
    ) -> Result<EmailSentPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let new = Registration {
            email: input.email.0,
            password: Password::new(input.password),
            display_name: input.display_name,
            username: input.username,
            language: input.language.into(),
        };
        EmailSentPayload::of(retry_conflict(|| email::register(app, viewer, &new)).await)
    }

    /// Has a code mailed to an address: the code of a registration once more, one for a new password, or one to add the
    /// address to your account. The answer is the same whether the address has an account or not. Codes:
    /// `INVALID_INPUT`, `TOO_MANY_ATTEMPTS` (`details.retryAfterMs`); for LINK `NOT_ALLOWED` (not signed in) and
    /// `INVALID_STATE` (`details.state` EMAIL_LINKED: your account has an address; SIGN_IN_AGAIN: you signed in longer than
    /// 15 minutes ago).
    async fn email_code_send(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] email: EmailAddress,
        #[graphql(desc = "What the code is for.")] purpose: EmailCodePurpose,
        #[graphql(
            desc = "The language of the mail where the address has no account.",
            default_with = "Language::En"
        )]
        language: Language,
    ) -> Result<EmailSentPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let purpose = match purpose {
            EmailCodePurpose::SignUp => codes::CodePurpose::SignUp,
            EmailCodePurpose::PasswordReset => codes::CodePurpose::PasswordReset,
            EmailCodePurpose::Link => codes::CodePurpose::Link,
        };
        let language: users::Language = language.into();
        let sent =
            retry_conflict(|| email::send_code(app, viewer, &email.0, purpose, language)).await;
        EmailSentPayload::of(sent)
    }

    /// Makes the account of a registration whose address the code proves, and signs in. Codes: `INVALID_INPUT`,
    /// `INVALID_CODE`, `INVALID_CREDENTIALS` (not the password of the registration), `ALREADY_EXISTS` (the username was
    /// taken meanwhile).
    async fn email_verify(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The address.")] email: EmailAddress,
        #[graphql(desc = "The 6 digits that were mailed.", secret)] code: String,
        #[graphql(desc = "The password of the registration, unchanged.", secret)] password: String,
    ) -> Result<AuthPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let password = Password::new(password);
        AuthPayload::of(email::verify(app, viewer, &email.0, &code, &password).await)
    }

    /// Signs in by password. Codes: `INVALID_CREDENTIALS`, whatever of the two is wrong; `NOT_ALLOWED` (suspended).
    async fn auth_login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The verified e-mail address or the username, in any case.")]
        login: String,
        #[graphql(desc = "The password, unchanged.", secret)] password: String,
    ) -> Result<AuthPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let password = Password::new(password);
        AuthPayload::of(retry_conflict(|| email::sign_in(app, viewer, &login, &password)).await)
    }

    /// Sets a new password by a code of `emailCodeSend`, and signs in; every other session ends. Codes: `INVALID_INPUT`
    /// (also a new one that is the old one), `INVALID_CODE`, `NOT_ALLOWED` (suspended).
    async fn password_reset(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The verified address.")] email: EmailAddress,
        #[graphql(desc = "The 6 digits that were mailed.", secret)] code: String,
        #[graphql(
            desc = "8 to 256 characters, none of the commonest; it is taken unchanged.",
            secret
        )]
        new_password: String,
    ) -> Result<AuthPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let new = Password::new(new_password);
        AuthPayload::of(email::reset_password(app, viewer, &email.0, &code, &new).await)
    }

    /// Changes your password; your other sessions end, and a mail tells you. Codes: `INVALID_INPUT` (also a new one that
    /// is the old one), `INVALID_CREDENTIALS` (the password of now), `INVALID_STATE` (`details.state` NO_PASSWORD: set one
    /// by `passwordReset`).
    async fn password_change(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Old and new.")] input: PasswordChangeInput,
    ) -> Result<PasswordChangePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let current = Password::new(input.current_password);
        let new = Password::new(input.new_password);
        let done = retry_conflict(|| email::change_password(app, viewer, &current, &new)).await;
        let own = viewer.user_id().map(|id| ("usr", id.0));
        let done = refusal(app, viewer, "auth.passwordChange", own, done).await;
        PasswordChangePayload::of(done.map(|row| Me(Arc::new(row))))
    }
}
