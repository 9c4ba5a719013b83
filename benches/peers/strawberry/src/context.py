"""What a request carries."""

from typing import Any
from uuid import UUID

from strawberry.dataloader import DataLoader
from strawberry.fastapi import BaseContext


class Context(BaseContext):
    """The loaders of one request, by the key that each takes."""

    def __init__(
        self,
        users: DataLoader[UUID, Any],
        prices: DataLoader[UUID, Any],
        reviews: DataLoader[tuple[UUID, int], Any],
    ) -> None:
        super().__init__()
        self.users = users
        self.prices = prices
        self.reviews = reviews
