"""For receivers of webhooks: is this from the runtime, and all of it? (Standard Webhooks, symmetric)."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from quafu_runtime.errors import WebhookRefused

TOLERANCE_SECONDS = 300.0
"""How far a receiver's clock and the sender's may be apart, the way included."""
_PREFIX = "whsec_"


def verify_webhook(
    secret: str,
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> dict[str, Any]:
    """Return what a request to a webhook says, if the runtime has sent it as it is.

    Args:
        secret: what making the webhook answered, `whsec_...`.
        headers: of the request; their names are taken in upper and lower case.
        body: of the request, byte by byte as it came: JSON that was read and written again differs.
        tolerance_seconds: how old it may be.

    Returns:
        `{"type": "job.succeeded", "timestamp": ..., "data": {"job": {...}, "links": {...}}}`. The same may
        come more than once: the header `webhook-id` is the same then.

    Raises:
        WebhookRefused: a header is missing, it is too old, or it is not signed with this secret.
        ValueError: the secret is none.
    """
    key = _key(secret)
    given = {name.lower(): value for name, value in headers.items()}
    try:
        identifier, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"]
    except KeyError as missing:
        raise WebhookRefused(f"the header {missing} is missing") from None
    _require_recent(stamp, tolerance_seconds)
    raw = body.encode() if isinstance(body, str) else body
    wanted = hmac.new(key, f"{identifier}.{stamp}.".encode() + raw, hashlib.sha256).digest()
    if not any(_matches(each, wanted) for each in signatures.split()):
        raise WebhookRefused("it is not signed with this secret, or was changed on its way")
    return _read(raw)


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("a webhook's secret is whsec_ and base64") from None


def _require_recent(stamp: str, tolerance_seconds: float) -> None:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16):
        raise WebhookRefused("the header webhook-timestamp is no number of seconds")
    if abs(time.time() - int(stamp)) > tolerance_seconds:
        raise WebhookRefused(f"it was sent more than {tolerance_seconds:g} s ago, or a clock is wrong")


def _matches(signature: str, wanted: bytes) -> bool:
    version, _, text = signature.partition(",")
    return version == "v1" and hmac.compare_digest(text.encode(), base64.b64encode(wanted))


def _read(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise WebhookRefused("it holds no JSON object")
    return found
