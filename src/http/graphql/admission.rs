//! Which requests are executed now, and which are refused before they have cost anything.

use async_graphql::parser::types::OperationType;

use super::{Prepared, answer::Answer};
use crate::http::{
    metrics::shed,
    places::{Place, Refused},
    router::Http,
};

/// A request that is executed, operation by operation.
///
/// A query beyond what is worked on would wait for all of it, a mutation for the pool. Mutations may be waiting for somebody
/// else, so that they take no query's place.
pub(super) struct Admission<'a> {
    http: &'a Http,
    place: Option<Place<'a>>,
}

impl<'a> Admission<'a> {
    /// Lets all of these operations in, or answers that there is no place for one of them.
    pub(super) fn of<'p>(
        http: &'a Http,
        operations: impl Iterator<Item = &'p Prepared>,
    ) -> Result<Self, Box<Answer>> {
        let (mut queries, mut mutations) = (false, false);
        for prepared in operations {
            match prepared.measured.operation {
                OperationType::Mutation => mutations = true,
                OperationType::Query | OperationType::Subscription => queries = true,
            }
        }
        if mutations {
            http.join_queue()
                .map_err(|refused| answer_shed(http, "mutation", refused))?;
        }
        let mut admission = Self { http, place: None };
        if queries {
            admission.take_place()?;
        }
        Ok(admission)
    }

    /// The next operation begins. A query that comes after a mutation needs a place again.
    pub(super) fn next(&mut self, mutates: bool) -> Result<(), Box<Answer>> {
        if mutates {
            self.place = None;
        } else if self.place.is_none() {
            self.take_place()?;
        }
        Ok(())
    }

    fn take_place(&mut self) -> Result<(), Box<Answer>> {
        let place = self.http.enter();
        self.place = Some(place.map_err(|refused| answer_shed(self.http, "query", refused))?);
        Ok(())
    }
}

fn answer_shed(http: &Http, kind: &'static str, refused: Refused) -> Box<Answer> {
    shed(kind, refused);
    Answer::shed(&http.app.entropy)
}
