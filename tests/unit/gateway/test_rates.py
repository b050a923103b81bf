"""Buckets of requests, and the answer that an empty one gives."""

from qrt_gateway.domain import rates
from qrt_gateway.domain.rates import Rates
from qrt_gateway.service.accounts import Accounts
from tests.unit.gateway.world import TOKEN, world


def test_a_burst_is_taken_at_once_and_the_rest_at_the_steady_rate() -> None:
    buckets = Rates(per_second=2, burst=3)
    assert [buckets.take("t", 0) for _ in range(4)] == [0, 0, 0, 1]
    assert [buckets.take("t", 0.5) for _ in range(2)] == [0, 1]
    assert [buckets.take("t", 1000) for _ in range(4)] == [0, 0, 0, 1]


def test_each_token_has_a_bucket_of_its_own() -> None:
    buckets = Rates(per_second=1, burst=1)
    assert [buckets.take("a", 0), buckets.take("a", 0), buckets.take("b", 0)] == [0, 1, 0]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    buckets = Rates(per_second=0.1, burst=1)
    assert [buckets.take("t", 0), buckets.take("t", 0)] == [0, 10]


def test_a_clock_that_jumps_back_empties_nothing() -> None:
    buckets = Rates(per_second=1, burst=2)
    assert [buckets.take("t", 100), buckets.take("t", 0), buckets.take("t", 0)] == [0, 0, 1]


def test_buckets_of_many_tokens_are_bounded() -> None:
    buckets = Rates(per_second=1, burst=1)
    for number in range(rates.REMEMBERED + 10):
        buckets.take(str(number), 0)
    assert len(buckets._buckets) == rates.REMEMBERED


async def test_a_token_that_asks_too_often_is_told_when_to_come_back() -> None:
    async with world() as running:
        limited = Accounts(
            running.store,
            clock=running.clock,
            monotonic=running.clock.monotonic,
            rates=Rates(per_second=0.5, burst=1),
        )
        running.accounts.authenticate = limited.authenticate  # type: ignore[method-assign]
        async with running.client(TOKEN) as client:
            assert (await client.get("/v1/account")).status_code == 200
            refused = await client.get("/v1/account")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "2")
        assert refused.json()["code"] == "Overloaded"
