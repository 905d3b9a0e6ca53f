"""Tiles to look at one by one: the highest, the lowest, any, or a mixture that gives nothing away.

In the blinded mixture high-scoring tiles stand among decoys from the middle and the bottom, in a
drawn order and in numbers drawn for each heat map: a reviewer who counts learns nothing (Lipkova et
al. 2022 dropped tiles at random to the same end).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from histofed.review.scored import Scored

Which: TypeAlias = Literal["top", "bottom", "random", "blinded"]

HIGH_PART = 0.1
"""Blinded: the highest-scoring part of the tiles; decoys are from the middle and the bottom."""

MOST = 500


def tiles(
    scored: Scored,
    head: str,
    *,
    which: Which,
    n: int,
    seed: int,
    seen: Collection[int] = (),
) -> dict[str, Any]:
    """Return tiles of a slide; with scores, unless blinded.

    Parameters
    ----------
    n
        How many at most.
    seed
        Of what is drawn; the same tiles of a heat map come again with the same seed, and those of
        another are another draw.
    seen
        Tiles that the reviewer judged with the score in sight: never drawn blinded.
    """
    order_N = scored.order_N(head)
    generator = np.random.default_rng([seed, *f"{scored.digest}/{head}".encode()])
    if which == "blinded":
        drawn = blinded(order_N[~np.isin(order_N, list(seen))], n, generator=generator)
        return {"seed": seed, "tiles": [_place(scored, tile) for tile in drawn.tolist()]}
    chosen = {
        "top": order_N[:n],
        "bottom": order_N[::-1][:n],
        "random": generator.permutation(order_N)[:n],
    }[which]
    values_K = scored.scores.scores[head][chosen]
    found = zip(chosen.tolist(), values_K.tolist(), scored.lower_K(head, chosen), strict=True)
    return {
        "tiles": [
            _place(scored, tile) | {"score": score, "above": float(above)}
            for tile, score, above in found
        ]
    }


def blinded(
    order_N: NDArray[np.int64], n: int, *, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return at most ``n`` tiles: a drawn third to two thirds high ones, the others decoys.

    Parameters
    ----------
    order_N
        Tiles from the highest score to the lowest.
    """
    n = min(n, len(order_N))
    n_high = int(generator.integers(n // 3, n - n // 3 + 1)) if n else 0
    # Few tiles: high, middle and low still must not share any.
    reach = max(int(HIGH_PART * len(order_N)), n_high, 1)
    high, rest = order_N[:reach], order_N[reach:]
    middle_to_low = rest[len(rest) // 3 :] if len(rest) * 2 // 3 >= n - n_high else rest
    chosen = np.concatenate(
        [
            generator.permutation(high)[:n_high],
            generator.permutation(middle_to_low)[: n - n_high],
        ]
    )
    return generator.permutation(chosen)


def _place(scored: Scored, tile: int) -> dict[str, Any]:
    x_px0, y_px0 = scored.scores.coords_N2[tile].tolist()
    return {"tile": tile, "x_px0": x_px0, "y_px0": y_px0}
