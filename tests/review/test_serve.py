from __future__ import annotations

import asyncio
import socket
import time

import pytest

from histofed.errors import ReviewError
from histofed.review.serve import bind


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "hospital.example", ""])
def test_only_this_machine(host: str) -> None:
    with pytest.raises(ReviewError, match="SSH tunnel"):
        bind(host, 0)


def test_a_taken_port_is_named() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(ReviewError, match=rf"port {port} of 127\.0\.0\.1 cannot be used"):
            bind("127.0.0.1", port)


def test_no_answer_waits_for_an_acknowledgement() -> None:
    """A picture is sent right behind its head: otherwise every answer takes 40 ms longer."""

    async def sends_at_once() -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def look(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.set_result(bool(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        with bind("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(look, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                try:
                    return await asyncio.wait_for(found, 10)
                finally:
                    writer.close()
                    await writer.wait_closed()

    assert asyncio.run(sends_at_once())


def test_half_a_request_does_not_keep_the_server_from_ending(app, serve_page, capfd) -> None:
    with socket.socket() as slow:
        with serve_page(app) as address:
            slow.connect(("127.0.0.1", int(address.rsplit(":", 1)[1])))
            slow.sendall(
                b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            time.sleep(0.5)  # the server has read it and waits for the rest
            started = time.monotonic()
        assert time.monotonic() - started < 10
    said = capfd.readouterr().err
    assert "Cancel 1 running task" in said
    assert "Traceback" not in said
