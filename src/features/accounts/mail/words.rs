//! What the mails say, in each language.

use jiff::{Timestamp, tz::TimeZone};

use crate::{auth::codes::Code, features::users::model::Language};

#[cfg(test)]
mod tests;

/// What a mail is about, with what it needs to say it.
pub(super) enum Topic {
    /// A code to make an account.
    SignUp(Code),
    /// Somebody tried to make an account with an address that has one.
    AccountExists,
    /// A code to set a new password.
    PasswordReset(Code),
    /// A code to add the address to an account.
    Link(Code),
    /// The password was changed, then.
    PasswordChanged(Timestamp),
    /// A Telegram account was linked, then.
    TelegramLinked(Timestamp),
}

impl Topic {
    /// For logs and metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::SignUp(_) => "sign_up",
            Self::AccountExists => "account_exists",
            Self::PasswordReset(_) => "password_reset",
            Self::Link(_) => "link",
            Self::PasswordChanged(_) => "password_changed",
            Self::TelegramLinked(_) => "telegram_linked",
        }
    }
}

/// A piece of a mail.
pub(super) enum Block {
    Paragraph(String),
    /// A code on a line of its own.
    Code(Code),
}

/// A mail in words.
pub(super) struct Words {
    pub(super) subject: String,
    pub(super) blocks: Vec<Block>,
    /// Who writes.
    pub(super) signature: String,
}

/// The language's name in mail headers and HTML (BCP 47).
pub(super) fn tag(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Zh => "zh-Hans",
        Language::Ru => "ru",
    }
}

/// The words of a mail from the service of this name. No subject holds a code: subjects show on locked screens.
pub(super) fn of(topic: &Topic, language: Language, app: &str) -> Words {
    match language {
        Language::En => english(topic, app),
        Language::Zh => chinese(topic, app),
        Language::Ru => russian(topic, app),
    }
}

fn words(app: &str, subject: &str, blocks: Vec<Block>) -> Words {
    let name = app.trim();
    Words {
        subject: if name.is_empty() {
            subject.to_owned()
        } else {
            format!("{name}: {subject}")
        },
        blocks,
        signature: if name.is_empty() { "Companion" } else { name }.to_owned(),
    }
}

fn say(text: impl Into<String>) -> Block {
    Block::Paragraph(text.into())
}

/// Why there is a code, the code, what to know about it, and what to do who did not ask for it.
fn with_code(why: &str, code: &Code, rules: &str, otherwise: &str) -> Vec<Block> {
    vec![
        say(why),
        Block::Code(code.clone()),
        say(rules),
        say(otherwise),
    ]
}

fn when(at: Timestamp) -> String {
    let at = at.to_zoned(TimeZone::UTC);
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M"))
}

fn english(topic: &Topic, app: &str) -> Words {
    let rules =
        "The code works once and for 10 minutes. Don't give it to anybody: we never ask for it.";
    let code_mail =
        |subject, why, code, otherwise| words(app, subject, with_code(why, code, rules, otherwise));
    match topic {
        Topic::SignUp(code) => code_mail(
            "confirm your e-mail address",
            "Enter this code to finish making your account:",
            code,
            "Wasn't it you? Then ignore this mail: without the code no account is made.",
        ),
        Topic::AccountExists => words(
            app,
            "you already have an account",
            vec![
                say(
                    "Somebody, perhaps you, tried to make an account with this e-mail address. It has one already.",
                ),
                say(
                    "Sign in as usual; if you don't remember your password, ask there for a new one.",
                ),
                say("Wasn't it you? Then you need not do anything: nothing was changed."),
            ],
        ),
        Topic::PasswordReset(code) => code_mail(
            "reset your password",
            "Enter this code to set a new password:",
            code,
            "Wasn't it you? Then ignore this mail: your password stays as it is.",
        ),
        Topic::Link(code) => code_mail(
            "add this address to your account",
            "Enter this code to add this e-mail address to the account in which you asked for it:",
            code,
            "Wasn't it you? Then ignore this mail: without the code nothing is added.",
        ),
        Topic::PasswordChanged(at) => words(
            app,
            "your password was changed",
            vec![
                say(format!(
                    "The password of your account was changed on {}.",
                    when(*at)
                )),
                say(
                    "Wasn't it you? Then reset your password at once and end the sessions that you don't know.",
                ),
            ],
        ),
        Topic::TelegramLinked(at) => words(
            app,
            "a Telegram account was added to your account",
            vec![
                say(format!(
                    "Since {} a Telegram account signs in to your account, too.",
                    when(*at)
                )),
                say(
                    "Wasn't it you? Then reset your password at once, which ends every session, and write to us.",
                ),
            ],
        ),
    }
}

fn chinese(topic: &Topic, app: &str) -> Words {
    let rules = "验证码仅可使用一次，10 分钟内有效。请勿告诉任何人：我们绝不会向您索要验证码。";
    let code_mail =
        |subject, why, code, otherwise| words(app, subject, with_code(why, code, rules, otherwise));
    match topic {
        Topic::SignUp(code) => code_mail(
            "请确认您的邮箱地址",
            "请输入以下验证码以完成账号注册：",
            code,
            "如果不是您本人操作，请忽略此邮件：没有验证码就不会创建账号。",
        ),
        Topic::AccountExists => words(
            app,
            "您已有账号",
            vec![
                say("有人（可能是您本人）尝试用此邮箱地址注册账号，但该地址已有账号。"),
                say("请照常登录；如果忘记了密码，可以在登录页面申请重置。"),
                say("如果不是您本人操作，您无需做任何事：账号没有任何变化。"),
            ],
        ),
        Topic::PasswordReset(code) => code_mail(
            "重置密码",
            "请输入以下验证码以设置新密码：",
            code,
            "如果不是您本人操作，请忽略此邮件：您的密码不会改变。",
        ),
        Topic::Link(code) => code_mail(
            "将此邮箱添加到您的账号",
            "请输入以下验证码，将此邮箱地址添加到您提出申请的账号：",
            code,
            "如果不是您本人操作，请忽略此邮件：没有验证码就不会添加。",
        ),
        Topic::PasswordChanged(at) => words(
            app,
            "您的密码已更改",
            vec![
                say(format!("您账号的密码已于 {} 更改。", when(*at))),
                say("如果不是您本人操作，请立即重置密码，并结束您不认识的登录会话。"),
            ],
        ),
        Topic::TelegramLinked(at) => words(
            app,
            "您的账号新增了一种登录方式",
            vec![
                say(format!(
                    "自 {} 起，一个 Telegram 账号也可以登录您的账号。",
                    when(*at)
                )),
                say("如果不是您本人操作，请立即重置密码（这会结束所有登录会话），并与我们联系。"),
            ],
        ),
    }
}

fn russian(topic: &Topic, app: &str) -> Words {
    let rules =
        "Код действует один раз и 10 минут. Никому его не сообщайте: мы никогда его не спрашиваем.";
    let code_mail =
        |subject, why, code, otherwise| words(app, subject, with_code(why, code, rules, otherwise));
    match topic {
        Topic::SignUp(code) => code_mail(
            "подтвердите адрес электронной почты",
            "Введите этот код, чтобы завершить регистрацию:",
            code,
            "Это были не вы? Тогда не обращайте внимания на письмо: без кода учётная запись не создаётся.",
        ),
        Topic::AccountExists => words(
            app,
            "у вас уже есть учётная запись",
            vec![
                say(
                    "Кто-то, возможно вы, пытался зарегистрироваться с этим адресом электронной почты. Учётная запись с ним уже есть.",
                ),
                say("Войдите как обычно; если вы не помните пароль, запросите там новый."),
                say("Это были не вы? Тогда ничего делать не нужно: ничего не изменилось."),
            ],
        ),
        Topic::PasswordReset(code) => code_mail(
            "сброс пароля",
            "Введите этот код, чтобы задать новый пароль:",
            code,
            "Это были не вы? Тогда не обращайте внимания на письмо: пароль останется прежним.",
        ),
        Topic::Link(code) => code_mail(
            "добавьте этот адрес к своей учётной записи",
            "Введите этот код, чтобы добавить этот адрес к учётной записи, в которой вы его указали:",
            code,
            "Это были не вы? Тогда не обращайте внимания на письмо: без кода ничего не добавится.",
        ),
        Topic::PasswordChanged(at) => words(
            app,
            "ваш пароль изменён",
            vec![
                say(format!(
                    "Пароль вашей учётной записи изменён {}.",
                    when(*at)
                )),
                say(
                    "Это были не вы? Тогда сразу сбросьте пароль и завершите незнакомые вам сеансы.",
                ),
            ],
        ),
        Topic::TelegramLinked(at) => words(
            app,
            "к вашей учётной записи добавлен ещё один вход",
            vec![
                say(format!(
                    "С {} в вашу учётную запись можно войти и через Telegram.",
                    when(*at)
                )),
                say(
                    "Это были не вы? Тогда сразу сбросьте пароль — это завершит все сеансы — и напишите нам.",
                ),
            ],
        ),
    }
}
