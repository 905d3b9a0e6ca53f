"""What is predicted: columns of the cohort table and the meaning of their values.

==============  ====================================================================
`base`          what every task can say of itself
`binary`        one question with two answers
`multiclass`    one question with several answers
`multilabel`    many questions of the same patients, some not answered (a mutation panel)
`regression`    one or many numbers (the expression of genes)
`survival`      time to an event, some of them censored
==============  ====================================================================
"""

from histofed.core.tasks.base import ClassTask, Label, Task
from histofed.core.tasks.binary import BinaryTask
from histofed.core.tasks.multiclass import MulticlassTask
from histofed.core.tasks.multilabel import MultilabelTask
from histofed.core.tasks.regression import RegressionTask
from histofed.core.tasks.survival import SurvivalTask

__all__ = [
    "BinaryTask",
    "ClassTask",
    "Label",
    "MulticlassTask",
    "MultilabelTask",
    "RegressionTask",
    "SurvivalTask",
    "Task",
]
