"""FastAPI with Strawberry's router."""

from contextlib import asynccontextmanager

import orjson
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

import db
from loaders import context
from schema import schema


class Router(GraphQLRouter):
    def encode_json(self, data: object) -> bytes:
        return orjson.dumps(data)


@asynccontextmanager
async def lifespan(app: FastAPI):
    yield
    await db.engine.dispose()


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.include_router(Router(schema, context_getter=context, graphql_ide=None), prefix="/graphql")
