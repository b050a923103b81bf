"""`POST /token`: OAuth2 client credentials (RFC 6749, 4.4)."""

import base64
import binascii
from urllib.parse import parse_qsl, unquote_plus

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrt_contracts.faults import NotAuthenticated
from qrt_gateway.handlers.problems import away
from qrt_gateway.handlers.reading import bounded_body
from qrt_gateway.handlers.resource import Parts
from qrt_gateway.handlers.visits import Visit

PATH = "/token"
MAX_BYTES = 16 << 10
FORM = "application/x-www-form-urlencoded"
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Refused(Exception):
    """An answer of RFC 6749, 5.2."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


def route(parts: Parts) -> Route:
    """Return the route of tokens."""

    async def dispatch(request: Request) -> Response:
        request.scope["qrt.route"] = PATH
        try:
            return await parts.visits.answered(request, lambda visit: _answer(parts, request, visit))
        except Refused as refused:
            return _refusal(refused)
        except NotAuthenticated as error:
            return _refusal(Refused("invalid_client", error.detail, status=401))
        except Exception as error:
            if fault := away(error):
                raise fault from error
            raise

    return Route(PATH, dispatch, methods=["POST"])


async def _answer(parts: Parts, request: Request, visit: Visit) -> Response:
    fields = await _fields(request)
    client_id, secret = _credentials(request, fields)
    granted = fields.get("grant_type")
    if granted is None:
        raise Refused("invalid_request", "grant_type is missing: send client_credentials")
    if granted != "client_credentials":
        raise Refused("unsupported_grant_type", "the grant type here is client_credentials")
    visit.account, token, seconds = await parts.clients.token(client_id, secret)
    body = {"access_token": token, "token_type": "Bearer", "expires_in": seconds}
    return Response(orjson.dumps(body), headers=_HEADERS, media_type="application/json")


async def _fields(request: Request) -> dict[str, str]:
    media_type = request.headers.get("content-type", FORM).partition(";")[0].strip().lower()
    if media_type != FORM:
        raise Refused("invalid_request", f"send the parameters as {FORM}")
    body = await bounded_body(request, MAX_BYTES)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        raise Refused("invalid_request", "the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise Refused("invalid_request", "a parameter is given more than once")
    return fields


def _credentials(request: Request, fields: dict[str, str]) -> tuple[str, str]:
    """Return a client's id and secret, from the header or from the form."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        return _from_header(encoded.strip())
    if scheme:
        raise Refused("invalid_client", "authenticate by Basic or in the form", status=401)
    client_id, secret = fields.get("client_id"), fields.get("client_secret")
    if not client_id or not secret:
        raise Refused("invalid_client", "send a client's id and secret, by Basic or in the form", status=401)
    return client_id, secret


def _from_header(encoded: str) -> tuple[str, str]:
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        client_id, colon, secret = "", "", ""
    if not colon:
        raise Refused("invalid_client", "the header Authorization is malformed", status=401)
    return unquote_plus(client_id), unquote_plus(secret)


def _refusal(refused: Refused) -> Response:
    headers = dict(_HEADERS)
    if refused.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="quafu-runtime"'
    body = {"error": refused.error, "error_description": refused.description}
    return Response(orjson.dumps(body), refused.status, headers, media_type="application/json")
