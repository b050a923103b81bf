"""Every message that a release has published is valid today, and what releases to come may add is ignored."""

import pytest

from qrt_contracts import commands, events
from qrt_contracts.message import Command, Message
from tests.upgrade import recording
from tests.upgrade.recording import Heard, Recording, grown

pytestmark = pytest.mark.upgrade


def _below(kind: type[Message]) -> list[type[Message]]:
    return [kind, *(deeper for each in kind.__subclasses__() for deeper in _below(each))]


KINDS: dict[str, type[Message]] = {
    each.schema_name: each for each in _below(Message) if getattr(each, "schema_name", None)
}
assert {commands.SubmitJob, events.Heartbeat} <= set(KINDS.values())


@pytest.fixture(scope="module")
def recorded(version: str) -> Recording:
    return recording.read(version)


def _messages(recorded: Recording) -> list[Heard]:
    """Return the recorded messages that a service is to read, but for the one that was broken on purpose."""
    every = (*recorded.kinds, *recorded.after)
    return [each for each in every if each.schema in KINDS and "dead-reason" not in each.headers
            and each.properties.get("message_id") != "broken"]  # fmt: skip


def test_every_message_of_a_release_is_valid_today_with_its_schema_version(recorded: Recording) -> None:
    seen = set()
    for heard in _messages(recorded):
        kind = KINDS[heard.schema]
        assert heard.headers["schema-version"] == kind.schema_version
        if not heard.is_reply:
            kind.model_validate(heard.data)
        elif "reply" in heard.data:
            assert issubclass(kind, Command)
            kind.reply_type.model_validate(heard.data["reply"])
        seen.add((heard.schema, heard.is_reply))
    ours = {key.split(" v")[0] for key in recorded.schemas if not key.endswith("reply")}
    assert {schema for schema, reply in seen if not reply} >= ours, "one of each"
    answered = {each for each in ours if each.startswith(("registry.", "scheduler."))}
    assert {schema for schema, reply in seen if reply} == answered


def test_every_message_of_a_release_is_valid_with_fields_that_nobody_knows_yet(recorded: Recording) -> None:
    for heard in _messages(recorded):
        if not heard.is_reply:
            KINDS[heard.schema].model_validate(grown(heard.data))
