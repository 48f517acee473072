"""The web console at the HTTP door: its files, signing in, and its questions as JSON.

The page is ours and nobody else's: scripts and styles from here only, no frame around it, no form
that goes elsewhere. What changes something must carry a header that another site cannot send.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web

from chassis.auth import BEARER
from gateway.auth import SECRET_BYTES_MAX
from gateway.console.assets import INDEX, Asset
from gateway.console.forwards import FORWARDS, Forwarder, as_dict
from gateway.console.requests import one, read_search, search, trace_id_of
from gateway.console.sessions import Sessions, SignInRequired, TooManyTries, Tries
from gateway.console.traces import Traces, TracesAway
from gateway.door import Door, Identity
from gateway.errors import AdminRequired, KeyInvalid
from gateway.http.intake import EdgeLimits, Handler, Intake, Refusal, Route, json_response
from gateway.http.openai_words import OpenAIWords

COOKIE = "spendgate_console"
# Another site's page cannot add it without asking first, and is never allowed.
OWN_HEADER = "X-Console-Request"
PATH = "/console"

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " font-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class SessionIntake(Intake):
    """Takes requests of the console in: their caller is whoever is signed in."""

    def __init__(self, door: Door, limits: EdgeLimits, sessions: Sessions) -> None:
        super().__init__(door, limits)
        self.sessions = sessions

    async def identify(self, request: web.Request, key_header: str = "") -> Identity:
        """Whoever is signed in, as the key says now; keys in headers do not count here.

        Raises: Refusal; ServiceUnavailable.
        """
        if request.method != "GET" and OWN_HEADER not in request.headers:
            raise Refusal(403, f"the header {OWN_HEADER} is missing", code="not_the_console")
        name = request.cookies.get(COOKIE, "")
        try:
            session = self.sessions.use(name)
            identity = await self.door.authenticate(BEARER + session.secret)
        except (SignInRequired, KeyInvalid):
            self.sessions.close(name)
            raise Refusal(401, "sign in first", code="sign_in_required") from None
        return identity


class Console:
    """gateway.http.intake.Part."""

    words = OpenAIWords()

    def __init__(
        self,
        intake: SessionIntake,
        tries: Tries,
        forwarder: Forwarder,
        *,
        traces: Traces | None,
        assets: Mapping[str, Asset],
        chat: Handler,
        feedback: Handler,
    ) -> None:
        """`chat` and `feedback` are OpenAIChat's, over the same intake."""
        self._intake = intake
        self._tries = tries
        self._forwarder = forwarder
        self._traces = traces
        self._assets = assets
        self._chat = chat
        self._feedback = feedback

    def routes(self) -> Sequence[Route]:
        """Its paths. What is under none of them is a screen, which the page itself opens."""
        api = f"{PATH}/api"
        return (
            Route("GET", f"{api}/session", self._who),
            Route("POST", f"{api}/session", self._sign_in),
            Route("DELETE", f"{api}/session", self._sign_out),
            Route("POST", f"{api}/rpc/{{service}}/{{method}}", self._rpc),
            Route("POST", f"{api}/requests", self._search),
            Route("GET", f"{api}/requests/{{request_id}}", self._request),
            Route("GET", f"{api}/requests/{{request_id}}/trace", self._trace),
            Route("POST", f"{api}/cache/try", self._try_prompt),
            Route("POST", f"{api}/chat", self._chat),
            Route("POST", f"{api}/feedback", self._feedback),
            Route("*", f"{api}/{{rest:.*}}", _unknown),
            Route("GET", f"{PATH}/assets/{{name}}", self._asset),
            Route("GET", PATH, self._page),
            Route("GET", f"{PATH}/{{screen:.*}}", self._page),
        )

    async def _who(self, request: web.Request) -> web.StreamResponse:
        """Who is signed in; that nobody is, is no error."""
        try:
            identity = await self._intake.identify(request)
        except Refusal:
            return json_response(200, {"signed_in": False}, _NO_STORE)
        return json_response(200, self._told(identity), _NO_STORE)

    async def _sign_in(self, request: web.Request) -> web.StreamResponse:
        if OWN_HEADER not in request.headers:
            raise Refusal(403, f"the header {OWN_HEADER} is missing", code="not_the_console")
        address = request.remote or ""
        try:
            self._tries.check(address)
        except TooManyTries as error:
            message = f"too many wrong keys; try again in {error.retry_seconds} s"
            raise Refusal(429, message, code="too_many_tries") from None
        secret = _secret_of(await self._json(request))
        try:
            identity = await self._intake.door.authenticate(BEARER + secret)
        except KeyInvalid:
            self._tries.failed(address)
            message = "this key does not open anything: it is mistyped, disabled or expired"
            raise Refusal(401, message, code="invalid_api_key") from None
        if not (identity.admin or identity.viewer):
            message = "this key calls models only; sign in with an admin or a viewer key"
            raise Refusal(403, message, code="admin_or_viewer_required")
        name = self._intake.sessions.open(secret, identity)
        response = json_response(200, self._told(identity), _NO_STORE)
        response.set_cookie(
            COOKIE, name, path=PATH, httponly=True, samesite="Strict", secure=_is_https(request)
        )
        return response

    async def _sign_out(self, request: web.Request) -> web.StreamResponse:
        if OWN_HEADER not in request.headers:
            raise Refusal(403, f"the header {OWN_HEADER} is missing", code="not_the_console")
        self._intake.sessions.close(request.cookies.get(COOKIE, ""))
        response = json_response(200, {"signed_in": False}, _NO_STORE)
        response.del_cookie(COOKIE, path=PATH)
        return response

    def _told(self, identity: Identity) -> dict[str, Any]:
        return {
            "signed_in": True,
            "tenant": identity.tenant,
            "key_id": identity.key_id,
            "role": "admin" if identity.admin else "viewer",
            "traces": self._traces is not None,
        }

    async def _rpc(self, request: web.Request) -> web.StreamResponse:
        identity = await self._reader(request)
        name = f"{request.match_info['service']}/{request.match_info['method']}"
        if name not in FORWARDS:
            raise Refusal(404, "no such question", code="unknown_url")
        answer = await self._forwarder.forward(name, await self._json(request), identity)
        return json_response(200, answer, _NO_STORE)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        identity = await self._reader(request)
        wanted = read_search(await self._json(request))
        return json_response(200, await search(self._forwarder, wanted, identity), _NO_STORE)

    async def _request(self, request: web.Request) -> web.StreamResponse:
        identity = await self._reader(request)
        entries = await one(self._forwarder, request.match_info["request_id"], identity)
        return json_response(200, {"entries": [as_dict(entry) for entry in entries]}, _NO_STORE)

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        """The trace that the books name for the request: a caller cannot ask for any other."""
        identity = await self._reader(request)
        if self._traces is None:
            return json_response(200, {"state": "off", "spans": []}, _NO_STORE)
        entries = await one(self._forwarder, request.match_info["request_id"], identity)
        trace_id = trace_id_of(entries)
        try:
            spans = await self._traces.steps(trace_id, identity.tenant) if trace_id else []
        except TracesAway:
            return json_response(200, {"state": "away", "spans": []}, _NO_STORE)
        state = "kept" if spans else "gone"
        return json_response(200, {"state": state, "spans": spans}, _NO_STORE)

    async def _try_prompt(self, request: web.Request) -> web.StreamResponse:
        identity = await self._reader(request)
        answer = await self._forwarder.try_prompt(await self._json(request), identity)
        return json_response(200, answer, _NO_STORE)

    async def _reader(self, request: web.Request) -> Identity:
        identity = await self._intake.identify(request)
        if not (identity.admin or identity.viewer):
            raise AdminRequired
        return identity

    async def _json(self, request: web.Request) -> Any:
        return await self._intake.read(request, _parse)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        # Looked at again each time: it names the other files, which never change.
        return _file(request, self._assets[INDEX], "no-cache")

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise Refusal(404, "no such file", code="unknown_url")
        return _file(request, asset, "public, max-age=31536000, immutable")


async def _unknown(_: web.Request) -> web.StreamResponse:
    raise Refusal(404, "no such path", code="unknown_url")


def _file(request: web.Request, asset: Asset, caching: str) -> web.Response:
    headers = {**_HEADERS, "Cache-Control": caching, "ETag": asset.etag, "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = asset.kind
    if asset.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=asset.packed, headers={**headers, "Content-Encoding": "gzip"})
    return web.Response(body=asset.content, headers=headers)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refusal(400, "the body is not JSON in UTF-8", code="bad_json") from None


def _secret_of(body: Any) -> str:
    secret = body.get("key") if isinstance(body, dict) else None
    if not isinstance(secret, str) or not 0 < len(secret.strip().encode()) <= SECRET_BYTES_MAX:
        raise Refusal(400, "give a key", code="REQUEST_INVALID", param="key")
    return secret.strip()


def _is_https(request: web.Request) -> bool:
    """Whether the browser came by TLS, here or at a proxy in front: then the cookie keeps to it."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").lower() == "https"
