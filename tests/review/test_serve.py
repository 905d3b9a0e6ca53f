from __future__ import annotations

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
