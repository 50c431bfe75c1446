"""The bodies of requests: read within the limits on size and time, and unpacked within the same size."""

from __future__ import annotations

import asyncio
import zlib

from anyio import fail_after
from starlette.requests import Request

from compress.plural import counted
from compress.serve.limits import Limits, Refused

CODINGS = ("gzip", "deflate")
MAX_CODINGS = 4  # of one body; each has to be unpacked
GZIP, ZLIB, RAW_DEFLATE = 31, 15, -15  # zlib's wbits
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


async def read_body(request: Request, limits: Limits, deadline: float) -> bytes:
    """Return a request's body, unpacked; `deadline` is in the event loop's time.

    Raises `Refused` if it is too large, also when unpacked, in an encoding that is not supported, or incomplete at the
    deadline.
    """
    codings = _codings(request)
    if int(request.headers.get("Content-Length", "0")) > limits.request_bytes:  # h11 accepts only digits, at most 20
        raise _too_large(limits)
    try:
        with fail_after(deadline - asyncio.get_running_loop().time()):
            body = await _read(request, limits)
    except TimeoutError as error:
        raise Refused(408, f"the body has not arrived within {limits.deadline_seconds:g} seconds") from error
    for coding in reversed(codings):  # they are named in the order in which they were applied
        decoders = request.app.state.decoders
        body = await asyncio.get_running_loop().run_in_executor(decoders, unpack, body, coding, limits)
    return body


def unpack(body: bytes, coding: str, limits: Limits) -> bytes:
    """Return a body without its content coding, `gzip` or `deflate` (RFC 9110, 8.4.1).

    Raises `Refused` if it is damaged, or larger than `limits.request_bytes`, of which no more is unpacked.
    """
    parts: list[bytes] = []
    left, rest = limits.request_bytes, body
    wbits = GZIP if coding == "gzip" else ZLIB if _has_zlib_header(body) else RAW_DEFLATE
    while not parts or (rest and coding == "gzip"):  # a gzip body may have several members
        unpacker = zlib.decompressobj(wbits)
        try:
            parts.append(unpacker.decompress(rest, left + 1))
        except zlib.error as error:
            raise Refused(400, f"the body is not {coding}, as its Content-Encoding states") from error
        left -= len(parts[-1])
        if left < 0:
            raise _too_large(limits)
        if not unpacker.eof:
            raise Refused(400, f"the body is {coding} that is cut short")
        rest = unpacker.unused_data
    if rest:
        raise Refused(400, f"the {coding} body has {counted(len(rest), 'byte')} too many at its end")
    return b"".join(parts)


def advice(request: Request) -> str:
    """Return what to do about a body that is a form, for an error about it; nothing for another body."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in FORMS:
        return ""
    return f"; the body is a form ({kind}): send the bytes alone, as curl --data-binary @FILE does"


def _codings(request: Request) -> list[str]:
    listed = ",".join(request.headers.getlist("Content-Encoding")).lower().split(",")
    codings = [coding.strip().removeprefix("x-") for coding in listed if coding.strip() not in ("", "identity")]
    unknown = [coding for coding in codings if coding not in CODINGS]
    if unknown or len(codings) > MAX_CODINGS:
        raise Refused(415, f"Content-Encoding: is {', '.join(codings)!r:.100}; should be gzip, deflate or none")
    return codings


def _has_zlib_header(body: bytes) -> bool:
    """Tell whether `deflate` is in its zlib wrapper (RFC 1950), which some clients leave out."""
    return len(body) >= 2 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0


async def _read(request: Request, limits: Limits) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.request_bytes:
            raise _too_large(limits)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limits: Limits) -> Refused:
    return Refused(413, f"the body is too large; should have {limits.request_bytes:,} bytes at most")
