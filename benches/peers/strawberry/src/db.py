"""Tables, and the statements of the loaders: one each, by the keys of a whole level."""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Row, Uuid, any_, bindparam, func, literal_column, make_url, select, true
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

url = make_url(os.environ["DATABASE_URL"].replace("postgres://", "postgresql://", 1))
sslmode = url.query.get("sslmode", "prefer")

# Reads alone: without transactions, there is nothing to begin and nothing to roll back.
engine = create_async_engine(
    url.set(drivername="postgresql+asyncpg").difference_update_query(["sslmode"]),
    connect_args={"ssl": sslmode},
    isolation_level="AUTOCOMMIT",
    skip_autocommit_rollback=True,
    pool_size=8,
    max_overflow=0,
)


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    display_name: Mapped[str]


class Provider(Base):
    __tablename__ = "providers"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    status: Mapped[str]
    display_name: Mapped[str]
    headline: Mapped[str]
    bio: Mapped[str]
    city_id: Mapped[UUID]
    time_zone: Mapped[str]
    cancellation_policy: Mapped[str]
    rating_sum: Mapped[int]
    rating_count: Mapped[int]
    rating: Mapped[float]


class Service(Base):
    __tablename__ = "services"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    status: Mapped[str]


class ProviderService(Base):
    __tablename__ = "provider_services"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[UUID]
    service_id: Mapped[UUID]
    price_minor: Mapped[int]
    currency: Mapped[str]
    duration_minutes: Mapped[int]
    active: Mapped[bool]


class Review(Base):
    __tablename__ = "reviews"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[UUID]
    author_id: Mapped[UUID]
    rating: Mapped[int]
    comment: Mapped[str]
    visible: Mapped[bool]
    created_at: Mapped[datetime]


IDS = bindparam("ids", type_=ARRAY(Uuid))
# A literal, so that the planner sees the partial index.
APPROVED = Provider.status == literal_column("'APPROVED'")

USERS = select(User.id, User.display_name).where(User.id == any_(IDS))

PRICES = (
    select(
        ProviderService.provider_id,
        ProviderService.id,
        ProviderService.duration_minutes,
        ProviderService.price_minor,
        ProviderService.currency,
        Service.id.label("service_id"),
        Service.title,
    )
    .join(Service, Service.id == ProviderService.service_id)
    .where(
        ProviderService.provider_id == any_(IDS),
        ProviderService.active,
        Service.status == literal_column("'ACTIVE'"),
    )
    .order_by(Service.title, ProviderService.id)
)

_keys = func.unnest(IDS).table_valued("id", name="p").render_derived()
_newest = (
    select(Review.provider_id, Review.id, Review.rating, Review.comment, Review.created_at, Review.author_id)
    .where(Review.provider_id == _keys.c.id, Review.visible)
    .order_by(Review.created_at.desc(), Review.id.desc())
    .limit(bindparam("first"))
    .lateral("r")
)
REVIEWS = (
    select(_newest)
    .select_from(_keys.join(_newest, true()))
    .order_by(_newest.c.provider_id, _newest.c.created_at.desc(), _newest.c.id.desc())
)


async def rows(statement: Any, **values: Any) -> Sequence[Row[Any]]:
    """What a statement answers; asyncpg keeps it prepared."""
    async with engine.connect() as connection:
        return (await connection.execute(statement, values)).all()


def provider(columns: Iterable[str]) -> Any:
    """The approved provider `id`, with these columns."""
    return select(*(getattr(Provider, name) for name in columns)).where(Provider.id == bindparam("id"), APPROVED)


def providers_by_rating(columns: Iterable[str]) -> Any:
    """The first `limit` approved providers of the city `city`, with these columns."""
    return (
        select(*(getattr(Provider, name) for name in columns))
        .where(Provider.city_id == bindparam("city"), APPROVED)
        .order_by(Provider.rating.desc(), Provider.rating_count.desc(), Provider.id.desc())
        .limit(bindparam("limit"))
    )
