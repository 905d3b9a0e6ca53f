"""``metrics.json``: every number of a run; ``docs/file-formats.md`` is the specification."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from histofed.io.runs import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from histofed.core.evaluation.arms import ArmEvaluation
    from histofed.core.evaluation.base import Result


def write_metrics(
    path: Path,
    *,
    about: Mapping[str, Any],
    arms: Sequence[ArmEvaluation],
    local_mean: tuple[str, Result] | None,
) -> None:
    """Write the numbers of every arm.

    Parameters
    ----------
    about
        What was asked: the task and the options of the evaluation.
    local_mean
        Name and numbers of the mean over the hospitals' own models; None without any.
    """
    write_json(
        path,
        {
            **plain(about),
            "arms": {each.arm: {"arm": each.arm, **_arm(each)} for each in arms},
            "local_mean": local_mean and {"arm": local_mean[0], **_numbers(local_mean[1])},
        },
    )


def plain(value: Any) -> Any:
    """Return what JSON can hold: a record for a dataclass, a list for an array, null for NaN."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: plain(getattr(value, each.name))
            for each in fields(value)
            if each.metadata.get("recorded", True)
        }
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _arm(found: ArmEvaluation) -> dict[str, Any]:
    coverage = found.trust.coverage
    record = _numbers(found.result) | {"details": plain(found.details)}
    if hasattr(found.details, "before"):
        record["ece"] = found.details.before.ece
    return record | {
        "sites": {site: _numbers(each) for site, each in found.sites.items()},
        "groups": {
            column: {value: _numbers(each) for value, each in groups.items()}
            for column, groups in found.groups.items()
        },
        "unlike": {kind: _numbers(each) for kind, each in found.trust.unlike.items()},
        "sets": {
            "all": plain(coverage[0]),
            "sites": {each.group: plain(each) for each in coverage[1:]},
        }
        if coverage
        else None,
        "against": plain(found.against),
        "confounder": plain(found.confounder),
        "permutation": plain(found.permutation),
        "not_defined": found.result.reasons
        | {
            name: reason
            for name, reason in (
                ("confounder", found.confounder_reason),
                ("permutation", found.permutation_reason),
            )
            if reason
        },
    }


def _numbers(result: Result) -> dict[str, Any]:
    """Return counts and numbers side by side, and why some are null."""
    return {**result.counts, **plain(result.numbers), "not_defined": result.reasons}
