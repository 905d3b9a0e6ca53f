"""What a file leaves open, asked for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from histofed.errors import MissingMpp, StoreError
from histofed.io.interop.reading import same

if TYPE_CHECKING:
    from pathlib import Path

    from histofed.io.interop.foreign import Supplied

T = TypeVar("T", str, int, float)


class Question(NamedTuple):
    """What neither a file nor the user says, the option that says it, and a value it could have."""

    what: str
    option: str
    example: str | int | float

    @property
    def answer(self) -> str:
        """The option with its example, as it is written in a command."""
        shown = f"{self.example:.5g}" if isinstance(self.example, float) else self.example
        return f"{self.option}={shown}"


class Asked:
    """What a file and the user together say; questions that both leave open are collected."""

    def __init__(self, path: Path, supplied: Supplied) -> None:
        self.path = path
        self.supplied = supplied
        self.questions: list[Question] = []

    def agreed(
        self, what: str, *, found: T | None, supplied: T | None, option: str, example: T
    ) -> T:
        """Return what the file says or the user supplied, else the example, as a question.

        Raises
        ------
        StoreError
            File and user contradict each other.
        """
        value = same(self.path, what, found=found, supplied=supplied, option=option)
        if value is None:
            self.questions.append(Question(what, option, example))
        return example if value is None else value

    def encoder(self, found: str | None) -> str:
        """Return the encoder's name; features of two encoders must never be taken for one."""
        return self.agreed(
            "which encoder made the features",
            found=found or None,
            supplied=self.supplied.encoder or None,
            option="encoder_name",
            example="NAME",
        )

    def mpp(self, example: float = 0.25) -> float:
        """Return microns per level-0 pixel, which no file of others holds."""
        return self.agreed(
            "the slide's microns per pixel (or cohort=TABLE with the slides or their mpp)",
            found=None,
            supplied=self.supplied.mpp,
            option="mpp",
            example=example,
        )

    def refuse(self) -> None:
        """Refuse the file if a question is open: no example is ever taken for an answer.

        Raises
        ------
        MissingMpp
            Only the resolution of this slide is open.
        StoreError
            More is open.
        """
        if not self.questions:
            return
        answers = " ".join(question.answer for question in self.questions)
        msg = f"{self.path}: it does not say {listed(self.questions)}, and nothing is guessed; "
        msg += f"give, with its own values, {answers}"
        if [question.option for question in self.questions] != ["encoder_name"]:
            msg += ", or convert the features without positions (format=features_only)"
        alone = [question.option for question in self.questions] == ["mpp"]
        raise MissingMpp(msg) if alone else StoreError(msg)


def listed(questions: list[Question]) -> str:
    """Return what is not said, in words."""
    *others, last = [question.what for question in questions]
    return f"{', '.join(others)}, and {last}" if others else last
