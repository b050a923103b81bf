"""Requests that start jobs: what a repeated one finds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from qrt_gateway.domain.posts import WINDOW, Connection, Post, key_of
from qrt_gateway.service.posts import Posts
from tests.unit.gateway.stores import MemoryPosts
from tests.unit.gateway.world import Clock

pytestmark = pytest.mark.kipu

KEY = key_of("token", "/services/a", b"{}")


class Rig:
    """Two gateways on one store."""

    def __init__(self) -> None:
        self.clock, self.store = Clock(), MemoryPosts()
        self.posts, self.other = self._gateway(), self._gateway()

    def _gateway(self) -> Posts:
        return Posts(self.store, clock=self.clock, monotonic=self.clock.monotonic)

    def wait(self, seconds: float) -> None:
        self.clock.now += timedelta(seconds=seconds)
        self.clock.seconds += seconds


async def begin(posts: Posts, connection: Connection | None = None, *, retrying: bool = False) -> Post:
    return await posts.begin(KEY, connection or Connection(), retrying=retrying, arrived=posts.now())


async def answer(posts: Posts, connection: Connection, *, retrying: bool = False) -> Post:
    post = await begin(posts, connection, retrying=retrying)
    await posts.answered(post, connection, retrying=retrying)
    return post


def test_a_key_is_of_token_path_and_body() -> None:
    keys = {
        KEY,
        key_of("other", "/services/a", b"{}"),
        key_of("token", "/services/b", b"{}"),
        key_of("token", "/services/a", b"{ }"),
    }
    assert len(keys) == 4


async def test_two_answered_requests_are_two_jobs_and_leave_nothing_behind() -> None:
    rig, connection = Rig(), Connection()
    first = await answer(rig.posts, connection)
    second = await answer(rig.posts, connection)
    assert first.job_id != second.job_id
    assert not rig.store.posts


async def test_requests_that_wait_at_the_same_time_are_as_many_jobs() -> None:
    rig = Rig()
    posts = [await begin(rig.posts) for _ in range(10)] + [await begin(rig.other) for _ in range(10)]
    assert len({post.job_id for post in posts}) == 20


async def test_after_an_error_an_equal_request_finds_the_job_of_the_first_at_any_gateway() -> None:
    for at in ("posts", "other"):
        rig = Rig()
        first = await begin(rig.posts)
        await rig.posts.unanswered(first)
        again = await begin(getattr(rig, at))
        assert again.job_id == first.job_id
        await getattr(rig, at).answered(again, Connection(), retrying=False)
        assert (await begin(rig.posts)).job_id != first.job_id


async def test_each_of_several_unanswered_requests_is_found_once() -> None:
    rig = Rig()
    lost = [await begin(rig.posts) for _ in range(3)]
    for post in lost:
        await rig.posts.unanswered(post)
    found = [await begin(rig.posts) for _ in range(4)]
    assert {post.job_id for post in found[:3]} == {post.job_id for post in lost}
    assert found[3].job_id not in {post.job_id for post in lost}


async def test_a_request_that_a_dead_gateway_had_is_taken_up_by_another() -> None:
    rig = Rig()
    first = await begin(rig.posts)
    assert (await begin(rig.other)).job_id != first.job_id  # it may still be at work on it
    rig.wait(0.9)
    assert (await begin(rig.other)).job_id == first.job_id


async def test_a_client_gone_before_its_answer_finds_its_job() -> None:
    rig, connection = Rig(), Connection()
    first = await begin(rig.posts, connection)
    connection.closed = True
    assert (await begin(rig.posts)).job_id == first.job_id  # while the first is still at work
    await rig.posts.answered(first, connection, retrying=False)
    rig = Rig()
    first = await begin(rig.posts, connection)
    await rig.posts.answered(first, connection, retrying=False)
    assert (await begin(rig.other)).job_id == first.job_id


async def test_a_connection_reset_after_the_answer_shows_that_it_was_not_read() -> None:
    rig, connection = Rig(), Connection()
    first = await answer(rig.posts, connection)
    connection.closed = connection.reset = True
    assert (await begin(rig.posts)).job_id == first.job_id


async def test_an_answer_cut_on_its_way_to_a_client_that_repeats_by_itself() -> None:
    rig, connection = Rig(), Connection()
    first = await answer(rig.posts, connection, retrying=True)
    connection.closed = True
    for _ in range(2):
        rig.wait(1.0)
        connection = Connection()
        again = await begin(rig.posts, connection, retrying=True)
        assert again.job_id == first.job_id
        await rig.posts.answered(again, connection, retrying=True)
        connection.closed = True
    rig.wait(1.0)
    assert (await begin(rig.posts, retrying=True)).job_id != first.job_id


@pytest.mark.parametrize("doubt", ["stands", "at once", "late", "other client", "named"])
async def test_a_deliberate_request_after_an_answer_is_a_new_job(doubt: str) -> None:
    rig, connection = Rig(), Connection()
    first = await answer(rig.posts, connection, retrying=True)
    connection.closed = doubt != "stands"
    rig.wait({"at once": 0.01, "late": 6.0}.get(doubt, 1.0))
    if doubt == "named":
        rig.posts.known(first.job_id)
    assert (await begin(rig.posts, retrying=doubt != "other client")).job_id != first.job_id


async def test_a_refused_request_is_forgotten_and_an_old_one_is_a_new_one() -> None:
    rig = Rig()
    first = await begin(rig.posts)
    await rig.posts.refused(first)
    assert not rig.store.posts
    second = await begin(rig.posts)
    await rig.posts.unanswered(second)
    rig.wait(WINDOW.total_seconds() + 1)
    assert (await begin(rig.posts)).job_id != second.job_id
    await rig.store.forget(rig.clock.now - WINDOW)
    assert second.job_id not in rig.store.posts


async def test_the_first_of_two_cannot_cross_out_what_the_second_took_over() -> None:
    rig = Rig()
    first = await begin(rig.posts)
    rig.wait(1.0)
    taken = await begin(rig.other)
    await rig.posts.answered(first, Connection(), retrying=False)
    assert rig.store.posts == {taken.job_id: replace(taken)}
