//! Documents: parsed once and kept by hash, asked for by hash alone, or only from a manifest.
//!
//! Cost is measured for each request, because it depends on its variables; parsing and the bounds on the document as a
//! whole don't, nor does validation but for one rule (see `execution`).

use std::{
    collections::HashMap,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use async_graphql::parser::{parse_query, types::ExecutableDocument};
use moka::sync::Cache;
use sha2::{Digest, Sha256};

use super::{
    limits::{CostModel, LimitError, LimitKind, overlap, scan, structure},
    refused::Asked,
};
use crate::{
    config::{ConfigError, Operation, Operations},
    error::{Error, Result},
};

/// Text kept at most, in bytes; a parsed document takes about ten times its text.
const KEPT: u64 = 8 * 1024 * 1024;
/// The longest part of a parser's message that is passed on: it repeats the line, which can be the whole document.
const MESSAGE: usize = 300;

/// The SHA-256 of a document's text.
pub type Hash = [u8; 32];

/// A parsed document, and whether validation has found nothing wrong with it.
#[derive(Debug)]
pub struct Document {
    parsed: ExecutableDocument,
    valid: AtomicBool,
}

impl Document {
    fn new(parsed: ExecutableDocument) -> Self {
        let valid = AtomicBool::new(false);
        Self { parsed, valid }
    }

    /// Whether it was found valid, whatever its variables.
    pub fn is_valid(&self) -> bool {
        self.valid.load(Relaxed)
    }

    /// Remembers that it was found valid.
    pub fn found_valid(&self) {
        self.valid.store(true, Relaxed);
    }
}

impl Deref for Document {
    type Target = ExecutableDocument;

    fn deref(&self) -> &ExecutableDocument {
        &self.parsed
    }
}

/// Parsed documents by the hash of their text.
#[derive(Debug)]
pub struct Documents {
    parsed: Cache<Hash, Arc<Document>>,
    /// The only documents accepted, when there is a manifest.
    manifest: Option<HashMap<Hash, Arc<Document>>>,
    /// The longest text, in bytes.
    longest: usize,
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq)]
pub enum DocumentError {
    /// A hash alone, and we don't know its text: the client sends it again with the text.
    NotFound,
    /// The hash is not the text's.
    Mismatch,
    /// There is a manifest, and it is not in it.
    NotListed,
    /// The text does not parse.
    Syntax(async_graphql::ServerError),
    /// A limit refuses it before it is parsed.
    Limit(LimitError),
    /// A limit refuses what it asks for.
    Structure(LimitError, Asked),
}

impl DocumentError {
    fn message(&self) -> &str {
        match self {
            Self::NotFound => "not known",
            Self::Mismatch => "not the text of this hash",
            Self::NotListed => "not in the manifest",
            Self::Syntax(error) => &error.message,
            Self::Limit(error) | Self::Structure(error, _) => &error.message,
        }
    }
}

impl Documents {
    /// An empty cache for texts up to `longest` bytes, and the manifest when there is one.
    ///
    /// # Errors
    /// A [`ConfigError`] that names each document of the manifest that would be refused.
    pub fn new(longest: usize, manifest: Option<&Operations>, model: &CostModel) -> Result<Self> {
        let parsed = Cache::builder()
            .max_capacity(KEPT)
            .weigher(|_: &Hash, document: &Arc<Document>| weight(document))
            .build();
        let mut documents = Self {
            parsed,
            manifest: None,
            longest,
        };
        if let Some(operations) = manifest {
            let listed = documents.listed(operations, model);
            documents.manifest = Some(listed.map_err(Error::internal)?);
        }
        Ok(documents)
    }

    fn listed(
        &self,
        operations: &Operations,
        model: &CostModel,
    ) -> Result<HashMap<Hash, Arc<Document>>, ConfigError> {
        let place = operations.file.display();
        let mut listed = HashMap::new();
        let mut problems = Vec::new();
        for Operation { id, body } in &operations.list {
            match self.parse(body, model) {
                Ok(document) => {
                    listed.insert(hash(body), Arc::new(Document::new(document)));
                }
                Err(error) => problems.push(format!(
                    "PERSISTED_OPERATIONS cannot be used: {place}: {id}: {}",
                    error.message()
                )),
            }
        }
        if problems.is_empty() {
            Ok(listed)
        } else {
            Err(ConfigError { problems })
        }
    }

    /// The document of this text or hash.
    ///
    /// # Errors
    /// [`DocumentError`]; nothing that is refused is kept.
    pub fn get(
        &self,
        text: Option<&str>,
        hash_given: Option<Hash>,
        model: &CostModel,
    ) -> Result<Arc<Document>, DocumentError> {
        let hash = match (text, hash_given) {
            (Some(text), given) => {
                // Hashing costs less than a refusal saves, but only up to a length.
                if text.len() > self.longest {
                    return Err(DocumentError::Limit(LimitError {
                        kind: LimitKind::TooComplex,
                        message: format!("The document is longer than {} bytes.", self.longest),
                        position: None,
                        key: None,
                    }));
                }
                let hash = hash(text);
                if given.is_some_and(|given| given != hash) {
                    return Err(DocumentError::Mismatch);
                }
                hash
            }
            (None, Some(given)) => given,
            (None, None) => return Err(DocumentError::NotFound),
        };
        if let Some(listed) = &self.manifest {
            return listed.get(&hash).cloned().ok_or(DocumentError::NotListed);
        }
        if let Some(known) = self.parsed.get(&hash) {
            return Ok(known);
        }
        let Some(text) = text else {
            return Err(DocumentError::NotFound);
        };
        let document = Arc::new(Document::new(self.parse(text, model)?));
        self.parsed.insert(hash, document.clone());
        Ok(document)
    }

    fn parse(&self, text: &str, model: &CostModel) -> Result<ExecutableDocument, DocumentError> {
        scan(text).map_err(DocumentError::Limit)?;
        let document = parse_query(text).map_err(|error| {
            let mut error = async_graphql::ServerError::from(error);
            if let Some((end, _)) = error.message.char_indices().nth(MESSAGE) {
                error.message.truncate(end);
                error.message.push('…');
            }
            DocumentError::Syntax(error)
        })?;
        match structure(&document, model).and_then(|()| overlap(&document, model)) {
            Ok(()) => Ok(document),
            Err(error) => Err(DocumentError::Structure(error, Asked::of(&document, None))),
        }
    }
}

/// What a document weighs: its selections stand in for its text, which is not kept.
fn weight(document: &ExecutableDocument) -> u32 {
    use async_graphql::parser::types::{Selection, SelectionSet};
    fn count(set: &SelectionSet) -> u32 {
        set.items.iter().fold(0_u32, |sum, item| {
            let below = match &item.node {
                Selection::Field(field) => count(&field.node.selection_set.node),
                Selection::InlineFragment(inline) => count(&inline.node.selection_set.node),
                Selection::FragmentSpread(_) => 0,
            };
            sum.saturating_add(below).saturating_add(8)
        })
    }
    let operations = document
        .operations
        .iter()
        .map(|(_, operation)| &operation.node.selection_set);
    let fragments = document
        .fragments
        .values()
        .map(|fragment| &fragment.node.selection_set);
    operations
        .chain(fragments)
        .fold(64_u32, |sum, set| sum.saturating_add(count(&set.node)))
}

/// The hash of a text.
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// A hash as clients write it: 64 hexadecimal digits.
pub fn parse_hash(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> CostModel {
        CostModel::from_sdl("type Query { a: Int }").unwrap()
    }

    #[test]
    fn a_text_is_known_by_its_hash_once_it_was_sent() {
        let (documents, model) = (Documents::new(100, None, &model()).unwrap(), model());
        let hash = hash("{ a }");
        let unknown = documents.get(None, Some(hash), &model);
        assert_eq!(unknown.unwrap_err(), DocumentError::NotFound);
        assert!(documents.get(Some("{ a }"), Some(hash), &model).is_ok());
        assert!(documents.get(None, Some(hash), &model).is_ok());
        let wrong = documents.get(Some("{ a a }"), Some(hash), &model);
        assert_eq!(wrong.unwrap_err(), DocumentError::Mismatch);
    }

    #[test]
    fn what_is_refused_is_not_kept() {
        let (documents, model) = (Documents::new(50, None, &model()).unwrap(), model());
        for text in [
            "{",
            "{ a } fragment F on Query { ...F }",
            &"{ a }".repeat(11),
        ] {
            assert!(documents.get(Some(text), None, &model).is_err(), "{text}");
            let again = documents.get(None, Some(hash(text)), &model);
            assert_eq!(again.unwrap_err(), DocumentError::NotFound, "{text}");
        }
    }

    fn manifest(texts: &[&str]) -> Operations {
        let list = texts.iter().map(|text| Operation {
            id: hex::encode(hash(text)),
            body: (*text).to_owned(),
        });
        Operations {
            file: "manifest.json".into(),
            list: list.collect(),
        }
    }

    #[test]
    fn a_manifest_lists_the_only_documents() {
        let model = model();
        let documents = Documents::new(100, Some(&manifest(&["{ a }"])), &model).unwrap();
        let id = Some(hash("{ a }"));
        assert!(documents.get(None, id, &model).is_ok());
        assert!(documents.get(Some("{ a }"), None, &model).is_ok());
        let other = documents.get(Some("{ b: a }"), None, &model);
        assert_eq!(other.unwrap_err(), DocumentError::NotListed);
    }

    #[test]
    fn every_document_of_a_manifest_that_would_be_refused_is_named() {
        let texts = ["{ a }", "{", "{ a } fragment F on Query { ...F }"];
        let error = Documents::new(100, Some(&manifest(&texts)), &model()).unwrap_err();
        let Error::Internal(cause) = error else {
            panic!("{error}");
        };
        let ConfigError { problems } = cause.downcast_ref().unwrap();
        assert_eq!(problems.len(), 2);
        for (problem, text) in problems.iter().zip(&texts[1..]) {
            let place = format!("manifest.json: {}: ", hex::encode(hash(text)));
            assert!(problem.starts_with("PERSISTED_OPERATIONS "), "{problem}");
            assert!(problem.contains(&place), "{problem}");
        }
    }
}
