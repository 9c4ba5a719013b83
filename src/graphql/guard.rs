//! The guard on the roots: every field of `Query` and `Mutation` asks the policy first.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, ObjectType, OutputType, Positioned, ServerResult,
    Value,
    parser::types::Field,
    registry::{MetaType, Registry},
};

use super::{context::ContextExt, refused, user_error::with_problems};
use crate::{
    auth::policy::{self, Audience},
    error::Error,
};

/// A root whose fields are refused to who is not in their audience, before their resolver runs; also ends each
/// field's description with its audience. A field without one is refused to everyone. What staff are refused, here or by
/// the resolver, is noted for the audit trail.
pub struct Guarded<T>(pub T);

#[async_trait::async_trait]
impl<T: OutputType> OutputType for Guarded<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        let name = T::create_type_info(registry);
        let root = T::type_name();
        if let Some(MetaType::Object { fields, .. }) = registry.types.get_mut(root.as_ref()) {
            for (field, meta) in fields.iter_mut() {
                if let Some(audience) = policy::audience(&root, field) {
                    let text = meta.description.take().unwrap_or_default();
                    meta.description = Some(
                        format!("{text}\n\n{}", audience.sentence())
                            .trim()
                            .to_owned(),
                    );
                }
            }
        }
        name
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        self.0.resolve(ctx, field).await
    }
}

#[async_trait::async_trait]
impl<T: ContainerType> ContainerType for Guarded<T> {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        match self.admit_and_resolve(ctx).await {
            // The library would take the answers to all other fields along.
            Err(error) if is_nullable::<T>(ctx) => {
                ctx.add_error(error);
                Ok(Some(Value::Null))
            }
            outcome => outcome,
        }
    }
}

/// Whether the schema lets the current field of a root be null.
fn is_nullable<T: OutputType>(ctx: &Context<'_>) -> bool {
    let types = &ctx.schema_env.registry.types;
    types
        .get(T::type_name().as_ref())
        .and_then(|root| root.field_by_name(&ctx.item.node.name.node))
        .is_some_and(|field| !field.ty.ends_with('!'))
}

impl<T: ContainerType> Guarded<T> {
    async fn admit_and_resolve(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        let field = ctx.item.node.name.node.as_str();
        if field == "__typename" {
            return self.0.resolve_field(ctx).await;
        }
        let root = T::type_name();
        let entry = policy::entry(&root, field);
        let admitted = entry.filter(|(_, audience)| audience.admits(ctx.viewer()));
        if let (Some(rehearsal), Some(_)) = (ctx.rehearsal(), admitted) {
            rehearsal.note(ctx, &root);
            return Ok(Some(Value::Null));
        }
        // A rehearsal, too, ends with the refusal, as what follows it in a mutation will not be executed.
        let Some((name, audience)) = admitted else {
            if let (None, Some((name, Audience::Permission(_)))) = (ctx.rehearsal(), entry) {
                refused::forbidden(ctx, name);
            }
            let refusal = entry.map_or(Error::Forbidden, |(_, audience)| {
                audience.refusal(ctx.viewer())
            });
            let error = async_graphql::Error::from(refusal);
            return Err(ctx.set_error_path(error.into_server_error(ctx.item.pos)));
        };
        if root != "Mutation" || !policy::is_of_staff(name, audience, ctx.viewer()) {
            return self.0.resolve_field(ctx).await;
        }
        let (resolved, problems) = with_problems(self.0.resolve_field(ctx)).await;
        refused::rejected(ctx, name, &problems);
        resolved
    }
}

impl<T: ObjectType> ObjectType for Guarded<T> {}
