"""Let torchvision import beside a CPU build of torch; Lightning and timm import it.

Package indexes serve torchvision only as a CUDA build; beside a CPU torch its compiled operators
are absent, and its import stops at registering shapes for two of them. Declaring their signatures
is enough for everything used here (no detection model is). On a normal install this does nothing.
"""

from __future__ import annotations

import importlib
import sys

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # A library's operators live as long as it does.


def ensure_torchvision_imports() -> None:
    """Import torchvision; where its operators are missing, declare them first."""
    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return  # whoever needs it says so
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            library.define(schema)
        _libraries.append(library)
        importlib.import_module("torchvision")
