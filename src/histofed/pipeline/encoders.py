"""``histofed encoders``: the tile encoders as a table, or the card of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape

from histofed.core.tiling import TileSpec
from histofed.errors import ConfigError
from histofed.extract.encoders import registry
from histofed.extract.encoders.google import EFFICIENTNET_LITE0
from histofed.pipeline.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from histofed.extract.encoders import EncoderCard
    from histofed.pipeline.schema_data import EncodersConfig

UNKNOWN = "not known"
YES_OR_NO = {True: "yes", False: "no", None: UNKNOWN}
HEADER = ("name", "dim", "px", "mpp", "parameters", "commercial", "gated", "built", "licence")


def run(config: EncodersConfig) -> int:
    """Print the table or the card; return the exit code."""
    if config.name is not None:
        console.print(_card(registry.card(config.name)))
        return 0
    found = [each for each in registry.cards().values() if _fits(each, config)]
    if not found:
        msg = "no encoder fits all filters together; leave one of them out"
        raise ConfigError(msg)
    for line in _lines([HEADER, *(_row(each) for each in found)]):
        console.print(escape(line))
    console.print(
        f"\n{len(found)} of {len(registry.cards())} tile encoders. "
        "built no: only its lab's own code runs it; `histofed convert` brings its features in.\n"
        "next: histofed encoders show NAME, or histofed extract slides=FOLDER encoder=NAME"
    )
    return 0


def _lines(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the rows in columns; no name is ever cut, whatever the width of the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _fits(card: EncoderCard, config: EncodersConfig) -> bool:
    """Whether a card passes the filters; what is not known passes neither true nor false."""
    licence = (card.licence or "").lower()
    return (
        (config.licence is None or config.licence.lower() in licence)
        and (config.dim is None or config.dim == card.dim)
        and (config.commercial is None or config.commercial == card.commercial)
        and (config.gated is None or config.gated == card.gated)
        and (config.mpp is None or card.takes(config.mpp))
        and (config.built is None or config.built == (card.architecture is not None))
    )


def _row(card: EncoderCard) -> tuple[str, ...]:
    return (
        card.name,
        str(card.dim),
        str(card.size_px),
        _numbers(card.mpp, between=" ") or "any",
        UNKNOWN if card.parameters_m is None else f"{card.parameters_m:g} M",
        YES_OR_NO[card.commercial],
        YES_OR_NO[card.gated],
        YES_OR_NO[card.architecture is not None],
        card.licence or UNKNOWN,
    )


def _card(card: EncoderCard) -> str:
    """Return the card as lines of markup."""
    arguments = ", ".join(f"{name}={value!r}" for name, value in card.arguments.items())
    size = [f"tiles of {card.size_px} px"]
    size += [f"resized to {card.resize_px} px ({card.interpolation})"] if card.resize_px else []
    size += [f"centre of {card.crop_px} px"] if card.crop_px else []
    built = f"timm {card.architecture}({arguments})" if card.architecture else "by its lab only"
    lines = {
        "features": f"{card.dim}: {card.embedding}",
        "takes": ", ".join(size),
        "mpp": _numbers(card.mpp) or "any (not known)",
        "trained at": _numbers(card.trained_mpp or ()) or UNKNOWN,
        "mean": _numbers(card.mean),
        "std": _numbers(card.std),
        "precision": f"{card.precision} on CUDA, fp32 elsewhere",
        "parameters": UNKNOWN if card.parameters_m is None else f"{card.parameters_m:g} million",
        "published": f"for {card.loader}: {_place(card)}",
        "built": built,
        "weights": _weights(card),
        "licence": card.licence or UNKNOWN,
        "commercial": YES_OR_NO[card.commercial],
        "gated": YES_OR_NO[card.gated],
        "paper": card.paper or UNKNOWN,
        "note": card.note,
    }
    shown = [f"{name:11}{escape(text)}" for name, text in lines.items() if text]
    title = f"[bold]{escape(card.title)}[/]  encoder={card.name}"
    return "\n".join([title, *shown, f"next: {escape(_command(card))}"])


def _weights(card: EncoderCard) -> str:
    """Return how the weights are come by."""
    if card.architecture is None:
        return ""
    if card is EFFICIENTNET_LITE0:
        return "installed with histofed; or encoder.weights=FILE"
    if card.hub is None:
        return f"encoder.weights=FILE, which is {card.source}"
    if card.gated is False:
        return "fetched from the hub once; or encoder.weights=FILE_OR_FOLDER"
    asked = "ask for access" if card.gated else "ask for access if the hub wants that"
    return f"{asked} on their page, then `hf auth login`; or encoder.weights=FILE_OR_FOLDER"


def _command(card: EncoderCard) -> str:
    """Return a command with the tiles that the encoder takes."""
    if card.architecture is None:
        return f"histofed convert source=FOLDER out=work encoder_name={card.name}"
    default = TileSpec()
    tiling = [] if card.size_px == default.size_px else [f"tiling.size_px={card.size_px}"]
    tiling += [] if card.takes(default.mpp) else [f"tiling.mpp={card.mpp[0]:g}"]
    by_hand = card.hub is None and card is not EFFICIENTNET_LITE0
    weights = ["encoder.weights=FILE"] if by_hand else []
    return " ".join(["histofed extract slides=FOLDER", f"encoder={card.name}", *weights, *tiling])


def _place(card: EncoderCard) -> str:
    if card.hub is None:
        return card.source or UNKNOWN
    commit = f" at {card.revision}" if card.revision else ""
    return f"huggingface.co/{card.hub}{commit}"


def _numbers(values: tuple[float, ...], *, between: str = ", ") -> str:
    return between.join(f"{value:g}" for value in values)
