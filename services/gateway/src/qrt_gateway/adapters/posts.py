"""Requests that start jobs, in MongoDB: database `gateway`, collection `posts`, by the job's id."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from qrt_chassis.store import Store, keep_index
from qrt_gateway.domain.posts import Post

LIKE = 100
"""Equal requests looked at: those that were answered are gone."""


class MongoPosts:
    """The `PostStore` port."""

    def __init__(self, store: Store) -> None:
        self._posts = store.database("gateway")["posts"]

    async def prepare(self) -> None:
        """Make the indexes. Safe to repeat, by several replicas at once."""
        await keep_index(self._posts, "key")
        await keep_index(self._posts, "at")

    async def put(self, post: Post) -> None:
        """Write a request down, in place of any other of the same job."""
        document = asdict(post)
        document["_id"] = document.pop("job_id")
        await self._posts.replace_one({"_id": post.job_id}, document, upsert=True)

    async def like(self, key: str) -> list[Post]:
        """Return some of the requests with a key, oldest first."""
        found = [_post(each) async for each in self._posts.find({"key": key}).limit(LIKE)]
        return sorted(found, key=lambda post: post.job_id)

    async def take(self, post: Post, *, gateway: str, now: datetime) -> Post | None:
        """Take a request over if it still is as `post` says; returns it as it is then."""
        taken = replace(post, gateway=gateway, at=now, turn=post.turn + 1, unanswered=False)
        change = {"gateway": gateway, "at": now, "turn": taken.turn, "unanswered": False}
        result = await self._posts.update_one({"_id": post.job_id, "turn": post.turn}, {"$set": change})
        return taken if result.matched_count else None

    async def unanswered(self, post: Post) -> None:
        """Mark a request as one whose client got no answer, unless it was taken over."""
        await self._posts.update_one({"_id": post.job_id, "turn": post.turn}, {"$set": {"unanswered": True}})

    async def remove(self, post: Post) -> None:
        """Cross a request out, unless it was taken over."""
        await self._posts.delete_one({"_id": post.job_id, "turn": post.turn})

    async def forget(self, before: datetime) -> None:
        """Remove the requests of before a moment."""
        await self._posts.delete_many({"at": {"$lt": before}})


def _post(document: dict[str, Any]) -> Post:
    return Post(job_id=document.pop("_id"), **document)
