//! The manifest of the only operations accepted.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::reader::Reader;

/// The operations of a manifest, each with the SHA-256 of its text as its id.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Operations {
    /// Where they were read.
    pub file: PathBuf,
    /// The operations.
    pub list: Vec<Operation>,
}

/// One of them.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub struct Operation {
    /// The SHA-256 of the text, in hexadecimal digits.
    pub id: String,
    /// The text.
    pub body: String,
}

/// The two forms of a manifest: a map from hash to text, or the one of Apollo's tools.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "neither a map from SHA-256 to text nor a manifest of Apollo's tools"
)]
enum Manifest {
    Apollo { operations: Vec<Operation> },
    Map(BTreeMap<String, String>),
}

pub(super) fn read_operations<F: Fn(&str) -> Option<String>>(
    r: &mut Reader<F>,
) -> Option<Arc<Operations>> {
    let name = "PERSISTED_OPERATIONS";
    r.set(name)?;
    let file = PathBuf::from(r.filled(name));
    if file.as_os_str().is_empty() {
        return None;
    }
    let place = file.display().to_string();
    let list = load(&file).unwrap_or_else(|error| {
        r.problem(name, format!("cannot be used: {place}: {error}"));
        Vec::new()
    });
    for Operation { id, body } in &list {
        let hash = hex::encode(Sha256::digest(body.as_bytes()));
        if !id.eq_ignore_ascii_case(&hash) {
            let what = format!("cannot be used: {place}: {id} is not the SHA-256 of its text");
            r.problem(name, what);
        }
    }
    Some(Arc::new(Operations { file, list }))
}

fn load(file: &Path) -> Result<Vec<Operation>, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)?;
    Ok(match serde_json::from_str(&text)? {
        Manifest::Apollo { operations } => operations,
        Manifest::Map(map) => map
            .into_iter()
            .map(|(id, body)| Operation { id, body })
            .collect(),
    })
}
