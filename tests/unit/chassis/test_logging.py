"""Log records."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from qrt_chassis.logging import bind, bound, configure, without_credentials

log = logging.getLogger("qrt_test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_record_is_one_json_object_with_service_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure("registry", "INFO")
    log.info("stored %d", 3)
    log.debug("not shown")
    (record,) = records(capsys)
    assert record["message"] == "stored 3"
    assert record["level"] == "INFO"
    assert record["service"] == "registry"
    assert record["logger"] == "qrt_test"
    assert str(record["at"]).endswith("+00:00")


def test_bound_ids_are_in_every_record_inside_and_in_none_outside(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure("scheduler", "INFO")
    with bind(job_id="j1"), bind(attempt=2):
        log.info("inside")
    log.info("outside")
    inside, outside = records(capsys)
    assert (inside["job_id"], inside["attempt"]) == ("j1", 2)
    assert "job_id" not in outside


async def test_tasks_do_not_see_each_others_ids() -> None:
    async def one(name: str) -> object:
        with bind(request_id=name):
            await asyncio.sleep(0)
            return bound("request_id")

    assert [*await asyncio.gather(one("a"), one("b"))] == ["a", "b"]
    assert bound("request_id") is None


def test_a_traceback_stays_on_the_records_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("registry", "INFO")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("failed")
    (record,) = records(capsys)
    assert "ValueError: why" in str(record["exc_info"])


@pytest.mark.parametrize("as_json", [True, False])
def test_credentials_in_urls_are_blotted_out(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    configure("registry", "INFO", json=as_json)
    try:
        raise ConnectionError("mongodb://root:hunter2@db:27017/ is away")
    except ConnectionError:
        log.exception("cannot reach %s", "amqp://guest:hunter2@mq:5672/")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "***@mq:5672" in written


def test_text_without_credentials_is_left_as_it_is() -> None:
    text = "see http://127.0.0.1:8080/v1/jobs?owner=a@b"
    assert without_credentials(text) == text


def test_people_get_text_with_the_ids_at_the_end_of_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("standalone", "INFO", json=False)
    with bind(job_id="j1"):
        log.warning("slow")
    assert capsys.readouterr().err.rstrip().endswith("standalone: slow job_id=j1")
