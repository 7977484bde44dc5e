"""Around the whole application: bounds what is taken in by bytes and by time, puts strict headers on what goes out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

STALL_S, PACE_BYTES = 30.0, 1 << 16
"""So long the body of a request is waited for until it has ended or so much of it has come, and then anew."""

WHY = {
    408: "the rest of the request did not come within {s:g} s: send it again",
    413: "at most {kib} KiB are taken at once: send less",
}

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers say "Origin: null" of our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""No script, style or address but our own: what came over the network stays text even where escaping were forgotten."""

NOT_KEPT = "no-store"
"""Cache-Control of everything but the static files: pages show patients."""


class Shell:
    """A middleware."""

    def __init__(self, app: ASGIApp, *, body_limit: int, uploads: dict[str, int], static: str) -> None:
        """body_limit: bytes of a request; uploads: by path, where more may come. static: what may be cached."""
        self._app, self._limit, self._uploads, self._static = app, body_limit, uploads, static

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        body = _Body(receive, self._uploads.get(path, self._limit))
        is_begun = False

        async def dressed(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                if body.refused:  # whatever the application makes of a body that broke off
                    await refuse(body.refused)
                    return
                is_begun = True
                self._dress(message, path)
            if is_begun:
                await send(message)

        async def refuse(status: int) -> None:
            why = WHY[status].format(kib=body.limit >> 10, s=STALL_S)
            is_api = path.startswith("/api/")
            text = (json.dumps({"why": why}) if is_api else why).encode()
            kind = b"application/json" if is_api else b"text/plain; charset=utf-8"
            headers = [(b"content-length", str(len(text)).encode()), (b"content-type", kind), (b"connection", b"close")]
            start: Message = {"type": "http.response.start", "status": status, "headers": headers}
            self._dress(start, path)
            await send(start)
            await send({"type": "http.response.body", "body": text})

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > body.limit:
            await refuse(413)
            return
        try:
            await self._app(scope, body.receive, dressed)
        except ClientDisconnect:  # nobody is there to be answered, and it is no fault
            if body.refused and not is_begun:
                await refuse(body.refused)

    def _dress(self, message: Message, path: str) -> None:
        headers = message.setdefault("headers", [])
        given = {name.lower() for name, _ in headers}
        added = {**HEADERS, "Cache-Control": "max-age=3600" if path.startswith(self._static) else NOT_KEPT}
        for name, value in added.items():
            if name.lower().encode() not in given:
                headers.append((name.lower().encode(), value.encode()))


class _Body:
    """The body of one request. refused: the status for one that went beyond the bounds, 0 as long as it did not."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self.limit = receive, limit
        self._taken, self._paced = 0, 0
        self._due_s = 0.0
        self._is_whole = False
        self.refused = 0

    async def receive(self) -> Message:
        """The next message of the server. Beyond the bounds: that the caller has gone."""
        if self._is_whole:  # what comes next is that the caller has gone, whenever that is
            return await self._receive()
        if not self._due_s or self._taken >= self._paced:
            self._due_s, self._paced = asyncio.get_running_loop().time() + STALL_S, self._taken + PACE_BYTES
        try:
            async with asyncio.timeout_at(self._due_s):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(408)
        self._taken += len(message.get("body", b""))
        if self._taken > self.limit:
            return self._refuse(413)
        self._is_whole = not message.get("more_body", False)
        return message

    def _refuse(self, status: int) -> Message:
        self.refused = status
        return {"type": "http.disconnect"}
