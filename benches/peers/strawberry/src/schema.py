"""The schema."""

from __future__ import annotations

import enum
from datetime import datetime
from functools import cache
from typing import NewType
from uuid import UUID

import strawberry
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types.nodes import SelectedField, Selection

import db
from context import Context

Info = strawberry.Info[Context, None]

Int64 = NewType("Int64", int)


@strawberry.enum
class CancellationPolicy(enum.Enum):
    FLEXIBLE = "FLEXIBLE"
    MODERATE = "MODERATE"
    STRICT = "STRICT"


@strawberry.enum
class ProviderSort(enum.Enum):
    RATING = "RATING"


@strawberry.type
class User:
    id: UUID
    display_name: str


@strawberry.type
class Service:
    id: UUID
    title: str


@strawberry.type
class Money:
    amount_minor: Int64
    currency: str


@strawberry.type
class ProviderService:
    id: UUID
    duration_minutes: int
    price: Money
    service: Service


@strawberry.type
class Review:
    id: UUID
    rating: int
    comment: str
    created_at: datetime
    author_id: strawberry.Private[UUID]

    @strawberry.field
    async def author(self, info: Info) -> User:
        return await info.context.users.load(self.author_id)


@strawberry.type
class ReviewConnection:
    nodes: list[Review]


@strawberry.type
class Provider:
    id: UUID
    # What was not asked for was not selected either.
    display_name: str = ""
    headline: str = ""
    bio: str = ""
    rating: float | None = None
    rating_count: int = 0
    time_zone: str = ""
    cancellation_policy: CancellationPolicy = CancellationPolicy.FLEXIBLE
    user_id: strawberry.Private[UUID | None] = None

    @strawberry.field
    async def user(self, info: Info) -> User:
        return await info.context.users.load(self.user_id)

    @strawberry.field
    async def services(self, info: Info) -> list[ProviderService]:
        return await info.context.prices.load(self.id)

    @strawberry.field
    async def reviews(self, info: Info, first: int = 20) -> ReviewConnection:
        return await info.context.reviews.load((self.id, page(first)))


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class ProviderConnection:
    nodes: list[Provider]
    page_info: PageInfo


@strawberry.input
class ProviderFilter:
    city_id: UUID


# Columns by field; what is not here has a loader.
COLUMNS = {
    "displayName": ["display_name"],
    "headline": ["headline"],
    "bio": ["bio"],
    "rating": ["rating_sum", "rating_count"],
    "ratingCount": ["rating_count"],
    "timeZone": ["time_zone"],
    "cancellationPolicy": ["cancellation_policy"],
    "user": ["user_id"],
}


def page(first: int) -> int:
    return min(max(first, 0), 100)


def names(selections: list[Selection]) -> set[str]:
    """The fields that are asked for, in fragments too."""
    found = set()
    for selection in selections:
        found |= {selection.name} if isinstance(selection, SelectedField) else names(selection.selections)
    return found


def below(selections: list[Selection], name: str) -> list[Selection]:
    """What is asked for below the fields of this name."""
    found = []
    for selection in selections:
        if not isinstance(selection, SelectedField):
            found += below(selection.selections, name)
        elif selection.name == name:
            found += selection.selections
    return found


def columns(fields: set[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(["id", *(name for field, own in COLUMNS.items() if field in fields for name in own)]))


provider_statement = cache(db.provider)
providers_statement = cache(db.providers_by_rating)


def to_provider(row) -> Provider:
    values = dict(row._mapping)
    if "rating_sum" in values:
        total = values.pop("rating_sum")
        values["rating"] = total / values["rating_count"] if values["rating_count"] else None
    if "cancellation_policy" in values:
        values["cancellation_policy"] = CancellationPolicy(values["cancellation_policy"])
    return Provider(**values)


@strawberry.type
class Query:
    @strawberry.field
    async def provider(self, info: Info, id: UUID) -> Provider | None:
        wanted = columns(names(below(info.selected_fields, "provider")))
        found = await db.rows(provider_statement(wanted), id=id)
        return to_provider(found[0]) if found else None

    @strawberry.field
    async def providers(
        self, info: Info, filter: ProviderFilter, sort: ProviderSort = ProviderSort.RATING, first: int = 20
    ) -> ProviderConnection:
        limit = page(first)
        wanted = columns(names(below(below(info.selected_fields, "providers"), "nodes")))
        found = await db.rows(providers_statement(wanted), city=filter.city_id, limit=limit + 1)
        return ProviderConnection(
            nodes=[to_provider(row) for row in found[:limit]],
            page_info=PageInfo(has_next_page=len(found) > limit),
        )


schema = strawberry.Schema(
    Query,
    config=StrawberryConfig(
        scalar_map={Int64: strawberry.scalar(name="Int64", description="An integer within ±(2^53 − 1).")}
    ),
    extensions=[ParserCache, ValidationCache],
)
