"""The embedded synthetic cohort.

Four invented hospitals whose slides imitate haematoxylin and eosin: real pyramidal files with
known ground truth, so that the whole way from slide to reviewed prediction can be run and checked
anywhere. It is synthetic and says so: nothing measured on it is evidence about a disease.
"""

from histofed.synth.cohort import make_cohort, read_lesion_mask
from histofed.synth.patients import CohortSpec
from histofed.synth.slide import LESION_MPP

__all__ = ["LESION_MPP", "CohortSpec", "make_cohort", "read_lesion_mask"]
