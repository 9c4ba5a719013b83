//! Mail that a test has sent and reads.

use companion::{
    auth::viewer::Viewer,
    db::ids::UserId,
    error::Result,
    features::{
        accounts::{codes, model::codes::CodePurpose},
        users::model::Language,
    },
};
use diesel_async::SimpleAsyncConnection;
use serde_json::json;

use super::{Client, TestApp};

/// A code to an address, in English.
pub fn order(email: &str, purpose: CodePurpose) -> codes::Order {
    codes::Order {
        email: email.to_owned(),
        purpose,
        user_id: None,
        language: Language::En,
        registration: (purpose == CodePurpose::SignUp).then(|| json!({ "displayName": "Ada" })),
    }
}

impl TestApp {
    /// Has a code made and its mail enqueued, in a transaction of its own.
    pub async fn order_code(&self, order: codes::Order) -> Result<()> {
        let mut tx = self.app.db.begin().await?;
        let viewer = Viewer::anonymous("test".into(), None, None);
        codes::send(&mut tx, &self.app, &viewer, order, self.now()).await?;
        tx.commit().await
    }

    /// Gives a person a verified address.
    pub async fn verified_email(&self, person: &Client, email: &str) {
        let id: UserId = person.user_id.parse().unwrap();
        let sql = format!(
            "UPDATE users SET email = '{email}', email_verified_at = '{}' WHERE id = '{}'",
            self.now(),
            id.0
        );
        self.conn().await.batch_execute(&sql).await.unwrap();
    }

    /// The mail in the folder of development, oldest first.
    pub fn mail(&self) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(&self.app.config.mail_dir) else {
            return Vec::new();
        };
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect()
    }

    /// The code in the newest mail of the folder that has one.
    pub fn mailed_code(&self) -> String {
        let code = self.mail().iter().rev().find_map(|mail| code_in(mail));
        code.expect("a mail with a code")
    }
}

/// The code in a mail in English: six digits on a line of their own.
pub fn code_in(mail: &str) -> Option<String> {
    mail.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .map(str::trim_end)
        .find(|line| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit()))
        .map(str::to_owned)
}
