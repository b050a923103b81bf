"""Requests on their way: retries, errors, headers; on a replaced transport."""

import json
from collections.abc import Callable, Sequence

import httpx
import pytest

from qrt_contracts import codec
from quafu_runtime import Account, AsyncClient, Client, _calls, errors
from quafu_runtime._wire import Call

Step = httpx.Response | Exception


class Network:
    """Answers requests from a script; the last step repeats. Sleeping moves its clock."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []
        self.now = 0.0

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, content=step.content, headers=step.headers)

    def client(self) -> Client:
        account = Account(api_token="secret", url="http://runtime")
        return Client(account, httpx.MockTransport(self.handle), sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def problem(status: int, code: str, **more: object) -> httpx.Response:
    body = {"code": code, "title": "Title", "detail": "the detail", **more}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


JOB = {
    "id": "j1",
    "owner": "o",
    "program": {"id": "p1", "name": "n", "version": 1, "digest": "d"},
    "status": "QUEUED",
    "attempt": 0,
    "attempts": [],
    "cancel_requested": False,
    "problem": None,
    "priority": 0,
    "backend": None,
    "limits": {},
    "last_output": 0,
    "isolation": None,
    "usage": None,
    "created_at": "2026-01-01T00:00:00Z",
    "started_at": None,
    "ended_at": None,
    "a field of a later version": 1,
}
UNAVAILABLE = problem(503, "Unavailable", retryable=True)
CREATE = {"name": "n", "source": "def run(): pass"}


def test_the_token_and_the_json_body_are_sent() -> None:
    network = Network(httpx.Response(201, json=JOB))

    network.client().send(_calls.submit({"program_name": "n", "input": {"π": [1.5, None]}}))

    request = network.requests[0]
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"program_name": "n", "input": {"π": [1.5, None]}}


def test_a_submission_is_repeated_under_one_idempotency_key() -> None:
    network = Network(httpx.ReadError("cut"), UNAVAILABLE, httpx.Response(201, json=JOB))

    view = network.client().send(_calls.submit({"program_name": "n"}))

    assert view.id == "j1"
    assert len({request.headers["idempotency-key"] for request in network.requests}) == 1
    assert len(network.requests) == 3


def test_two_submissions_have_different_keys() -> None:
    network = Network(httpx.Response(201, json=JOB))
    client = network.client()

    for _ in range(2):
        client.send(_calls.submit({"program_name": "n"}))

    assert len({request.headers["idempotency-key"] for request in network.requests}) == 2


@pytest.mark.parametrize("fault", [httpx.ReadError("cut"), httpx.ReadTimeout("slow"), UNAVAILABLE])
@pytest.mark.parametrize(
    "call", [lambda: _calls.create_program(dict(CREATE)), lambda: _calls.delete_program("p1")]
)
def test_what_may_have_been_done_is_not_sent_again_if_twice_is_not_once(
    fault: Step, call: Callable[[], Call[object]]
) -> None:
    network = Network(fault)

    with pytest.raises((errors.Unreachable, errors.Unavailable)):
        network.client().send(call())

    assert len(network.requests) == 1


@pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), problem(429, "Overloaded", retryable=True)])
def test_what_was_certainly_not_done_is_sent_again_always(fault: Step) -> None:
    network = Network(fault, httpx.Response(204))

    network.client().send(_calls.delete_program("p1"))

    assert len(network.requests) == 2


def test_a_runtime_that_never_answered_is_given_up_soon() -> None:
    network = Network(httpx.ConnectError("refused"))

    with pytest.raises(errors.Unreachable, match="GET /v1/jobs/j1: refused"):
        network.client().send(_calls.get_job("j1"))

    assert 1 < len(network.requests) < 20
    assert network.now < 3


def test_a_runtime_that_has_answered_once_is_waited_for() -> None:
    fault = httpx.ConnectError("refused")
    network = Network(httpx.Response(200, json=JOB), *[fault] * 8, httpx.Response(200, json=JOB))
    client = network.client()

    client.send(_calls.get_job("j1"))
    client.send(_calls.get_job("j1"))

    assert len(network.requests) == 10
    assert 3 < network.now < 30


def test_patience_with_an_unavailable_runtime_ends_in_its_own_words() -> None:
    network = Network(UNAVAILABLE)

    with pytest.raises(errors.Unavailable, match="the detail"):
        network.client().send(_calls.get_job("j1"))

    assert 30 <= network.now < 40


def test_the_runtimes_own_word_on_when_to_come_back_is_heeded() -> None:
    later = problem(429, "Overloaded", retryable=True, retry_after_seconds=4)
    network = Network(later, httpx.Response(200, json=JOB))

    network.client().send(_calls.get_job("j1"))

    assert network.now >= 4


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "InvalidRequest", errors.InvalidRequest),
        (422, "ProgramInvalid", errors.ProgramInvalid),
        (401, "NotAuthenticated", errors.NotAuthenticated),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.JobNotFound),
        (409, "Conflict", errors.Conflict),
        (409, "NameTaken", errors.NameTaken),
        (413, "TooLarge", errors.TooLarge),
        (500, "Internal", errors.RequestRefused),
        (418, "SomethingNewer", errors.RequestRefused),
        (400, "SomethingNewer", errors.InvalidRequest),
    ],
)
def test_a_problem_becomes_the_error_of_its_code(
    status: int, code: str, expected: type[errors.RequestRefused]
) -> None:
    places = [{"pointer": "/name", "detail": "too long"}]
    network = Network(problem(status, code, field="name", errors=places))

    with pytest.raises(errors.RequestRefused) as caught:
        network.client().send(_calls.get_job("j1"))

    assert type(caught.value) is expected
    assert caught.value.problem.code == code
    assert caught.value.field == "name"
    assert str(caught.value) == "Title: the detail\n  /name: too long"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, errors.NotAuthenticated), (404, errors.JobNotFound), (413, errors.TooLarge)],
)
def test_a_proxys_error_page_becomes_the_error_of_its_status(
    status: int, expected: type[errors.RequestRefused]
) -> None:
    network = Network(httpx.Response(status, text="<html>no</html>"))

    with pytest.raises(expected):
        network.client().send(_calls.get_job("j1"))


@pytest.mark.parametrize(
    "answer",
    [httpx.Response(200, text="<html>"), httpx.Response(200, json={"id": 1}), httpx.Response(302)],
)
def test_an_answer_that_is_not_the_runtimes_is_called_that(answer: httpx.Response) -> None:
    with pytest.raises(errors.InvalidReply):
        Network(answer).client().send(_calls.get_job("j1"))


@pytest.mark.parametrize("value", [object(), print, {"a": [lambda: 1]}, "\ud800"])
def test_what_cannot_be_represented_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(errors.InputValueException, match=r"params hold .* at /state"):
        _calls.submit({"program_name": "n", "input": {"state": value}})


@pytest.mark.parametrize("value", [{1, 2}, float("inf"), {(1, 2): 3}, b"bytes", 1 + 2j, 2**70])
def test_what_json_does_not_have_is_sent_tagged(value: object) -> None:
    sent = json.loads(_calls.submit({"program_name": "n", "input": value}).request.content or b"")

    assert sent["input"]["$type"]
    assert codec.decode(sent["input"]) == value


def test_a_wrong_field_is_named_before_it_is_sent() -> None:
    with pytest.raises(errors.InvalidRequest) as caught:
        _calls.create_program({**CREATE, "max_attempts": 0})

    assert [error.pointer for error in caught.value.errors] == ["/max_attempts"]


def test_integers_and_floats_of_a_result_come_back_as_they_were() -> None:
    value = {"big": 2**70, "exact": 0.1 + 0.2, "nan": float("nan"), "inf": float("inf")}
    text = json.dumps({"job_id": "j1", "status": "SUCCEEDED", "result": value})
    network = Network(httpx.Response(200, text=text))

    view = network.client().send(_calls.get_result("j1", wait=0))

    assert json.dumps(view.result) == json.dumps(value)


@pytest.mark.parametrize(
    "steps",
    [
        [httpx.ReadError("cut"), UNAVAILABLE, httpx.Response(201, json=JOB)],
        [httpx.ConnectError("refused")],
        [problem(404, "NotFound")],
    ],
)
async def test_the_async_client_ends_as_the_blocking_one(steps: Sequence[Step]) -> None:
    blocking, other = Network(*steps), Network(*steps)

    async def sleep(seconds: float) -> None:
        other.sleep(seconds)

    account = Account(api_token="secret", url="http://runtime")
    transport = httpx.MockTransport(other.handle)
    client = AsyncClient(account, transport, sleep=sleep, clock=lambda: other.now)
    expected = found = None
    try:
        blocking.client().send(_calls.submit({"program_name": "n"}))
    except errors.QuafuRuntimeError as exc:
        expected = exc
    try:
        await client.send(_calls.submit({"program_name": "n"}))
    except errors.QuafuRuntimeError as exc:
        found = exc
    finally:
        await client.aclose()

    assert (type(found), str(found)) == (type(expected), str(expected))
    assert (len(other.requests) > 1) == (len(blocking.requests) > 1)
