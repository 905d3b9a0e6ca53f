"""The command, with an encoder and pictures that cost nothing: for tests that kill many.

Run as a program it imports everything once and then forks a process per request: lines of JSON on
standard input, ``{"start": [argument, ...]}`` answered by a process number, ``{"wait": number}`` by
its exit code.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import traceback
from dataclasses import replace

import torch
from torch import nn

from histofed import cli
from histofed.extract.encoders.base import TileEncoder, weights_digest
from histofed.extract.encoders.cards import EncoderCard
from histofed.extract.encoders.registry import cards
from histofed.pipeline import build, config, extract, tile  # noqa: F401  # imported once, for all

CARD = EncoderCard(
    name="efficientnet_lite0",
    dim=48,
    size_px=224,
    mpp=(0.5,),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    embedding="means of a grid",
    licence="Apache-2.0",
    paper="none",
)


SIDE = {"efficientnet_lite0": 4, "phikon": 3}
"""Encoder -> side of the grid of its features."""

cards()  # they are imported once too


def quick_encoder(chosen: dict[str, str], **_: object) -> TileEncoder:
    """Return an encoder without weights."""
    side = SIDE[chosen["name"]]
    card = replace(CARD, name=chosen["name"], dim=3 * side * side)
    module = nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten())
    return TileEncoder(card, module, weights_digest({}))


def run(arguments: list[str], *, max_file_bytes: int | None = None) -> int:
    """Run the command in a process of its own; ``max_file_bytes`` is a disk that gets full."""
    torch.set_num_threads(1)
    build.encoder = quick_encoder
    tile.picture_jpeg = lambda *_, **__: b"picture"  # drawing takes longer than all the rest
    if max_file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, resource.RLIM_INFINITY))
    return cli.main(arguments)


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif not (answer := os.fork()):
            signal.signal(signal.SIGINT, signal.default_int_handler)
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = 1
            try:
                code = run(request["start"], max_file_bytes=request.get("max_file_bytes"))
            except BaseException:  # noqa: BLE001  # as Python does at the end of a program
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
