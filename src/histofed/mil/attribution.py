"""Prediction -> raw scores per tile: where the model looked, and what it saw there.

Written for every slide, as heads of one file:

- ``attention``: the weight of the tile in the patient's bag; it sums to one over all the tiles of
  all the slides of the patient. Only for aggregators with attention.
- ``tile_logit``: the logit of the tile as a bag of its own; above 0 speaks for the positive class.
- ``evidence``: the tile's exact share in the patient's logit, with the same sense of its sign. Only
  for aggregators whose logit is a sum over tiles.

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
    from histofed.mil.aggregators import Aggregator

ATTENTION = "attention"
TILE_LOGIT = "tile_logit"
EVIDENCE = "evidence"


@torch.inference_mode()
def tile_scores(
    aggregator: Aggregator, bag: Bag, *, store: FeatureStore, model_digest: str
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
    aggregator.eval()
    batch = collate([bag])
    output = aggregator(batch.features_BND, batch.valid_BN, batch.cells_BN3)
    heads = {TILE_LOGIT: aggregator.instance_logits(batch.features_BND)[0, :, -1]}
    if output.attention_BN is not None:
        heads = {ATTENTION: output.attention_BN[0], **heads}
    if output.evidence_BNC is not None:
        heads[EVIDENCE] = output.evidence_BNC[0, :, -1]
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
