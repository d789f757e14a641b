"""A proxy before a server that makes it fail on demand, as networks and servers do."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from enum import StrEnum
from math import inf

Copy = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
END = b"\r\n\r\n"  # of the head of a request or an answer


class Fault(StrEnum):
    """How a server fails: its port is closed; it answers 500 to everything; its answers break off, or never come."""

    GONE = "gone"
    ERRORS = "errors"
    TRUNCATED = "truncated"
    UNANSWERED = "unanswered"


class FaultyProxy:
    """Hands bytes to a server on this machine and back; ``begin`` and ``end`` a fault at any time, from any thread.

    Attributes:
        port: where it listens, at 127.0.0.1.
        hits: how many connections met a fault, refused ones excepted.
    """

    def __init__(self, target: int) -> None:
        self.port, self.hits = 0, 0
        self._target = target
        self._fault: Fault | None = None
        self._left = 0.0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "FaultyProxy":
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin(self, fault: Fault, times: float = inf) -> None:
        """Fail from now on, so many connections; those that are open break."""
        self._left = times
        self._do(self._turn(fault))

    def end(self) -> None:
        """Work again."""
        self._do(self._turn(None))

    def _do(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _turn(self, fault: Fault | None) -> None:
        self._fault = fault
        await self._close()
        if fault is not Fault.GONE:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        while self._open:
            for each in list(self._open):
                each.transport.abort()
            await asyncio.sleep(0.01)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._fault if self._left > 0 else None
        self.hits += fault is not None
        self._left -= 1
        self._open.add(writer)
        try:
            if fault is Fault.ERRORS:
                await _answer_500(reader, writer)
            else:
                await self._pass_on(reader, writer, _BACK.get(fault, _copy))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side has gone, as sides do
        finally:
            self._open.discard(writer)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: Copy) -> None:
        there = await asyncio.open_connection("127.0.0.1", self._target)
        self._open.add(there[1])
        try:
            ways = [asyncio.ensure_future(each) for each in (_copy(reader, there[1]), back(there[0], writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open.discard(there[1])
            there[1].close()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 16):
        to.write(data)
        await to.drain()


async def _copy_half(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    """The heads of answers whole; the first body to its half, then nothing more."""
    while data := await source.read(1 << 16):
        head, _, body = data.partition(END) if data.startswith(b"HTTP/") else (b"", b"", data)
        to.write(data[: len(data) - len(body) + len(body) // 2])
        await to.drain()
        if body:
            return


async def _copy_nothing(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    """No answer; only that a request may go on."""
    while data := await source.read(1 << 16):
        if not data.startswith(b"HTTP/1.1 100"):
            return
        to.write(data)
        await to.drain()


_BACK: dict[Fault | None, Copy] = {Fault.TRUNCATED: _copy_half, Fault.UNANSWERED: _copy_nothing}


async def _answer_500(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take a whole request, so that the answer is not lost in a reset, and answer it."""
    head = (await reader.readuntil(END)).lower()
    if b"expect: 100-continue" in head:
        writer.write(b"HTTP/1.1 100 Continue" + END)
    length = next((line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length")), b"0")
    await reader.readexactly(int(length))
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>a fault of a test</Message></Error>"
    head = f"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    writer.write(head.encode() + b"\r\nConnection: close" + END + body)
    await writer.drain()
