r"""Gated attention (Ilse, Tomczak and Welling 2018, ICML, arXiv:1802.04712, equation 9).

.. math::
    a_i = \mathrm{softmax}_i\; w^\top (\tanh(V h_i) \odot \sigma(U h_i))

and all else as in `histofed.mil.aggregators.abmil`.
"""

from __future__ import annotations

from histofed.mil.aggregators.abmil import ABMIL
from histofed.mil.aggregators.blocks import GatedScore


class GatedABMIL(ABMIL):
    """Gated attention-based MIL; parameters of `ABMIL`."""

    scorer = GatedScore
