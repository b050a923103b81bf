"""What a receiver of webhooks believes."""

import base64
import hashlib
import hmac
import time

import pytest

from quafu_runtime import WebhookRefused, verify_webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type": "job.succeeded", "data": {"name": "\xc3\xa9"}}'


def signed(body: bytes = BODY, *, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, b"msg_1." + stamp.encode() + b"." + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": stamp,
        "Webhook-Signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def test_the_example_of_the_specifications_own_libraries_is_believed() -> None:
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert verify_webhook(SECRET, headers, body, tolerance_seconds=1e12) == {"test": 2432232314}


def test_what_was_signed_is_read_from_bytes_and_text_and_one_right_signature_is_enough() -> None:
    headers = signed()
    headers["Webhook-Signature"] = f"v1a,xx v1,yy {headers['Webhook-Signature']}"
    expected = {"type": "job.succeeded", "data": {"name": "é"}}
    assert verify_webhook(SECRET, headers, BODY) == expected
    assert verify_webhook(SECRET, headers, BODY.decode()) == expected


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
def test_a_request_without_one_of_its_headers_is_refused(missing: str) -> None:
    headers = signed()
    del headers[missing]
    with pytest.raises(WebhookRefused, match=missing.lower()):
        verify_webhook(SECRET, headers, BODY)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (signed(b"{}"), BODY),
        (signed(secret="whsec_" + base64.b64encode(b"another").decode()), BODY),
        (signed(at=time.time() - 3600), BODY),
        (signed(at=time.time() + 3600), BODY),
        (signed() | {"Webhook-Timestamp": "soon"}, BODY),
        (signed() | {"Webhook-Id": "msg_2"}, BODY),
        (signed() | {"Webhook-Signature": "v1,ünsigned"}, BODY),
        (signed(b"[]"), b"[]"),
        (signed(b"{"), b"{"),
    ],
)
def test_what_the_runtime_has_not_sent_so_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(WebhookRefused):
        verify_webhook(SECRET, headers, body)


def test_a_secret_that_is_none_is_a_mistake_of_the_receivers() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook("whsec_?", signed(), BODY)
