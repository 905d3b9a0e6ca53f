"""Prediction -> raw scores per tile: where the model looked, and what it saw there.

Written for every slide, as heads of one file:

- ``attention``: the weight of the tile in the patient's bag; it sums to one over all the tiles of
  all the slides of the patient. Only for aggregators with attention.
- ``tile_logit`` and the like: what the tile would get as a bag of its own (with the patient's
  clinical covariates, where the model has some), as the objective names it; of a binary task the
  logit, above 0 speaks for the positive class.
- ``evidence``: the tile's exact share in the patient's logit, with the same sense of its sign. Only
  for aggregators whose logit is a sum over tiles, and tasks of one logit.

Suffixes: N tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from histofed.core.types import TileScores
from histofed.errors import StoreError
from histofed.mil.bags import Bag, collate

if TYPE_CHECKING:
    from histofed.io.store import FeatureStore
    from histofed.mil.module import MILModule

ATTENTION = "attention"
EVIDENCE = "evidence"


@torch.inference_mode()
def tile_scores(
    module: MILModule, bag: Bag, *, store: FeatureStore, model_digest: str
) -> list[TileScores]:
    """Return the scores of every slide of one patient.

    Raises
    ------
    StoreError
        The features have no positions.
    """
    if bag.coords_N2 is None:
        msg = f"patient {bag.patient_id}: these features came without positions, so there is no "
        msg += "place to show a score at"
        raise StoreError(msg)
    module.eval()
    batch = collate([bag])
    output = module(batch)
    alone_1NC = module.instance_logits(batch)
    heads = {name: head[0] for name, head in module.objective.tile_heads(alone_1NC).items()}
    if output.attention_BN is not None:
        heads = {ATTENTION: output.attention_BN[0], **heads}
    if output.evidence_BNC is not None and module.objective.n_logits == 1:
        heads[EVIDENCE] = output.evidence_BNC[0, :, 0]
    found = []
    for slide_id, tiles in bag.tiles_of.items():
        record = store.record(slide_id)
        found.append(
            TileScores(
                slide_id=slide_id,
                coords_N2=bag.coords_N2[tiles].numpy(),
                side_px0=record.side_px0,
                scores={
                    name: values[tiles].numpy().astype(np.float32) for name, values in heads.items()
                },
                model_digest=model_digest,
                features_digest=record.digest,
            )
        )
    return found
