"""What every slide encoder offers, and which features it takes.

Suffixes: N tiles, D features, E numbers of the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from histofed.errors import ConfigError, SlideError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from histofed.io.store import Recipe, SlideFeatures


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideEncoderCard:
    """What is known of a slide encoder, before it is loaded.

    Attributes
    ----------
    name
        As in ``configs/slide_encoder/``.
    dim
        Numbers of an embedding; None: as many as the features have.
    tile_encoders
        Names of the tile encoders whose features it was trained on; empty takes those of any.
    side_um
        Side of the tiles it was trained on, microns; None takes any.
    needs_positions
        Whether it has to know where the tiles lie.
    """

    name: str
    dim: int | None = None
    tile_encoders: tuple[str, ...] = ()
    side_um: float | None = None
    needs_positions: bool = False

    def check(self, recipe: Recipe) -> None:
        """Refuse features that the slide encoder was not trained on.

        Raises
        ------
        ConfigError
            They are another tile encoder's, of tiles of another size, or have no positions.
        """
        takes, spec = self.tile_encoders, recipe.spec
        if takes and recipe.encoder not in takes:
            msg = (
                f"slide encoder {self.name} takes features of {' or '.join(takes)}, these are of "
                f"{recipe.encoder or 'an unknown encoder'}; extract with encoder={takes[0]}"
            )
            raise ConfigError(msg)
        if spec is None and (self.needs_positions or self.side_um is not None):
            msg = f"slide encoder {self.name} has to know where tiles lie, and these features came "
            msg += "without positions; extract them from slides"
            raise ConfigError(msg)
        if spec and self.side_um is not None and not np.isclose(spec.side_um, self.side_um):
            msg = (
                f"slide encoder {self.name} takes tiles of {self.side_um:g} um, these are of "
                f"{spec.side_um:g} um; extract with tiling.size_px x tiling.mpp = {self.side_um:g}"
            )
            raise ConfigError(msg)


class SlideEncoder(Protocol):
    """A slide encoder ready to use: one YAML in ``configs/slide_encoder/`` has its ``_target_``."""

    @property
    def card(self) -> SlideEncoderCard:
        """Name, size of the embedding and which features it takes."""

    @property
    def record(self) -> dict[str, Any]:
        """Name, parameters and digest of the weights: the identity of what it makes."""

    def encode(
        self,
        features_ND: NDArray[np.float32],
        coords_N2: NDArray[np.int64] | None,
        *,
        side_px0: float | None,
    ) -> NDArray[np.float32]:
        """Return the embedding ``(E,)`` of one slide.

        Parameters
        ----------
        coords_N2
            Top-left corners of the tiles, level-0 pixels; None for bags without positions.
        side_px0
            Side of a tile in level-0 pixels; None as above.
        """


def embedding_of(encoder: SlideEncoder, slide: SlideFeatures) -> NDArray[np.float32]:
    """Return the embedding of a slide, checked: an encoder may come from elsewhere.

    Raises
    ------
    ConfigError
        The slide's features are not those that the encoder takes.
    SlideError
        What the encoder made is not one finite row of the length on its card.
    """
    card, slide_id = encoder.card, slide.record.slide_id
    card.check(slide.record.recipe)
    side_px0 = None if slide.coords_N2 is None else slide.record.side_px0
    features_ND = slide.features_ND.astype(np.float32)
    made_E = encoder.encode(features_ND, slide.coords_N2, side_px0=side_px0)
    wanted = card.dim or features_ND.shape[1]
    if made_E.shape != (wanted,) or not np.isfinite(made_E).all():
        msg = (
            f"slide {slide_id}: slide encoder {card.name} made {made_E.shape} numbers, "
            f"{int((~np.isfinite(made_E)).sum())} of them not finite; an embedding is ({wanted},): "
            "correct the encoder"
        )
        raise SlideError(msg)
    return made_E.astype(np.float32)
