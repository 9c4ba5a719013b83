"""Loaders of one request."""

from collections import defaultdict
from uuid import UUID

from strawberry.dataloader import DataLoader

import db
import schema
from context import Context


async def context() -> Context:
    return Context(users=DataLoader(users), prices=DataLoader(prices), reviews=DataLoader(reviews))


async def users(ids: list[UUID]) -> list[schema.User]:
    found = {
        row.id: schema.User(id=row.id, display_name=row.display_name) for row in await db.rows(db.USERS, ids=ids)
    }
    return [found[id] for id in ids]


async def prices(providers: list[UUID]) -> list[list[schema.ProviderService]]:
    found = defaultdict(list)
    for provider, id, minutes, amount, currency, service, title in await db.rows(db.PRICES, ids=providers):
        found[provider].append(
            schema.ProviderService(
                id=id,
                duration_minutes=minutes,
                price=schema.Money(amount_minor=amount, currency=currency),
                service=schema.Service(id=service, title=title),
            )
        )
    return [found[id] for id in providers]


async def reviews(keys: list[tuple[UUID, int]]) -> list[schema.ReviewConnection]:
    found = defaultdict(list)
    sizes = defaultdict(list)
    for provider, first in keys:
        sizes[first].append(provider)
    for first, providers in sizes.items():
        for provider, id, rating, comment, at, author in await db.rows(db.REVIEWS, ids=providers, first=first):
            found[provider, first].append(
                schema.Review(id=id, rating=rating, comment=comment, created_at=at, author_id=author)
            )
    return [schema.ReviewConnection(nodes=found[key]) for key in keys]
