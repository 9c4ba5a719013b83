//! A client of the API over HTTP.

use serde_json::{Value, json};

/// Who calls, with an access token or without.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base_url: String,
    token: Option<String>,
    /// The person's id (`usr_…`), for a signed-in client.
    pub user_id: String,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON body.
    pub body: Value,
    /// How many SQL statements the request took, by its `Server-Timing` header.
    pub statements: u32,
}

impl Answer {
    /// `data`, when there are no top-level errors.
    pub fn data(&self) -> &Value {
        assert!(self.body.get("errors").is_none(), "errors: {:#}", self.body);
        &self.body["data"]
    }

    /// The payload of the one mutation, when it has no user errors.
    pub fn payload(&self, mutation: &str) -> &Value {
        let payload = &self.data()[mutation];
        assert_eq!(payload["userErrors"], json!([]), "{:#}", self.body);
        payload
    }

    /// The codes of the one mutation's user errors.
    pub fn user_error_codes(&self, mutation: &str) -> Vec<String> {
        let errors = self.data()[mutation]["userErrors"]
            .as_array()
            .expect("userErrors");
        errors
            .iter()
            .map(|error| error["code"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The code of the first top-level error.
    pub fn error_code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{:#}", self.body))
    }
}

impl Client {
    /// A client of this server.
    pub fn new(base_url: &str, token: Option<String>) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            http,
            base_url: base_url.to_owned(),
            token,
            user_id: String::new(),
        }
    }

    /// The same with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// Posts an operation.
    pub async fn post(&self, query: &str, variables: Value) -> Answer {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self
            .http
            .post(format!("{}/graphql", self.base_url))
            .json(&body);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let statements = response
            .headers()
            .get("server-timing")
            .and_then(|value| {
                value
                    .to_str()
                    .ok()?
                    .split('"')
                    .nth(1)?
                    .split(' ')
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or_default();
        let body = response.json().await.unwrap();
        Answer {
            status,
            body,
            statements,
        }
    }

    /// Posts a query without variables.
    pub async fn query(&self, query: &str) -> Answer {
        self.post(query, json!({})).await
    }

    /// The access token, of a signed-in client.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// The raw HTTP client, for requests that no frontend would send.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The address of a path on this server.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }
}
