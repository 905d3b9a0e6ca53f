"""The card of a tile encoder: what it takes, what it makes, how it is built, who may use it.

Cards are facts, one lab a file beside this one (``owkin.py``, ``paige.py``, ...). What is not known
stays None and is shown as such. Wrong normalisation, wrong pooling and wrong resolution are the
common errors with these models; each of them is a field here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from histofed.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histofed.core.tiling import TileSpec

Colour = tuple[float, float, float]

IMAGENET: tuple[Colour, Colour] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels."""
HALF: tuple[Colour, Colour] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Maps 0..1 to -1..1."""
CLIP: tuple[Colour, Colour] = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
"""Mean and standard deviation of the pixels of OpenAI's CLIP."""

CLASS = "class token"
CLASS_AND_MEAN = "class token and mean of patch tokens"
UNIT_CLASS = "class token of length 1"
PROJECTED = "projected class token"
UNIT_PROJECTED = "projected class token of length 1"
ATTENTION = "tokens pooled by the attention of one query, normalised"
FEATURE_MAP = "mean over the last feature map"

NO_DERIVATIVES = "CC-BY-NC-ND-4.0"

Loader = Literal["timm", "transformers", "package"]
Precision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderCard:
    """The facts about a tile encoder.

    Attributes
    ----------
    dim, embedding
        Length of a tile's feature vector, and how it is made of the model's output. Patch tokens
        begin behind the class token and the register tokens.
    size_px, mpp, trained_mpp
        Side of the tile picture; the resolutions at which the encoder may be used (empty: not
        known, any is taken); those of its training.
    resize_px, interpolation, crop_px
        The picture is resized to this side in this way, then its centre of this side is cut out;
        None: it is not.
    mean, std
        Normalisation of RGB scaled to 0..1.
    precision
        Arithmetic on a GPU; a CPU computes in fp32.
    loader, hub, file, revision
        The library of those who published it, their repository on the Hugging Face hub, the file in
        it (None: the usual names), the commit (None: the newest).
    source
        Where weights are to be had that are on no hub.
    architecture, arguments
        Model of timm and its arguments; None: its code is published by its lab only, and it is not
        built here.
    layout
        Whose names the tensors of the published file bear; see `histofed.extract.encoders.layouts`.
    container, unused
        Key under which the file holds the tensors; prefixes of published tensors that the features
        do not need, such as the text side of an image-text model.
    parameters_m
        Millions of parameters of what is built.
    licence, gated, commercial
        Terms of the weights; whether the hub asks for consent; whether they allow commercial use.
    """

    name: str
    dim: int
    size_px: int
    mpp: tuple[float, ...]
    mean: Colour
    std: Colour
    embedding: str
    licence: str | None
    paper: str | None
    title: str = ""
    trained_mpp: tuple[float, ...] | None = None
    resize_px: int | None = None
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    crop_px: int | None = None
    precision: Precision = "fp32"
    loader: Loader = "timm"
    hub: str | None = None
    file: str | None = None
    revision: str | None = None
    source: str | None = None
    architecture: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    layout: str = "timm"
    container: str | None = None
    unused: tuple[str, ...] = ()
    parameters_m: float | None = None
    gated: bool | None = None
    commercial: bool | None = None
    note: str = ""

    @property
    def input_px(self) -> int:
        """Side of the picture that the model gets."""
        return self.crop_px or self.resize_px or self.size_px

    @property
    def determines(self) -> dict[str, Any]:
        """The facts on which features depend besides pixels, weights and arithmetic.

        Licence, paper and resolutions are not among them: correcting one must not make features
        that are there unusable. The resolution of the tiles is in their own record.
        """
        return {
            "name": self.name,
            "dim": self.dim,
            "embedding": self.embedding,
            "size_px": self.size_px,
            "resize_px": self.resize_px,
            "interpolation": self.interpolation,
            "crop_px": self.crop_px,
            "mean": self.mean,
            "std": self.std,
            "architecture": self.architecture,
            "arguments": dict(self.arguments),
        }

    def takes(self, mpp: float) -> bool:
        """Whether the encoder may be used at this resolution, to within 5 percent."""
        return not self.mpp or any(abs(mpp - each) <= 0.05 * each for each in self.mpp)

    def check(self, spec: TileSpec) -> None:
        """Refuse tiles that the encoder was not trained for.

        Raises
        ------
        ConfigError
            Size or resolution do not fit; both and the fix are named.
        """
        if spec.size_px != self.size_px:
            msg = (
                f"encoder {self.name} takes tiles of {self.size_px} px, tiling.size_px is "
                f"{spec.size_px}; set tiling.size_px={self.size_px}"
            )
            raise ConfigError(msg)
        if not self.takes(spec.mpp):
            known = [f"{mpp:g}" for mpp in self.mpp]
            msg = (
                f"encoder {self.name} is meant for {', '.join(known)} microns per pixel, "
                f"tiling.mpp is {spec.mpp:g}; set "
                f"{' or '.join(f'tiling.mpp={each}' for each in known)}"
            )
            raise ConfigError(msg)
