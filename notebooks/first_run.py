# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A first run, step by step
#
# The same verbs as on the command line, on the small synthetic cohort, with a look at every
# file in between. Open it in Jupyter with jupytext, or run it with `python notebooks/first_run.py`.

# %%
import tempfile
from pathlib import Path

from histofed.cli import main

here = Path(tempfile.mkdtemp(prefix="histofed-"))
run = here / "run"

# %% [markdown]
# ## From slides to a report in one command

# %%
assert main(["demo", "small=true", f"run={run}"]) == 0

# %% [markdown]
# ## What a feature file holds

# %%
from histofed.io.store import FeatureStore

store = FeatureStore(run / "work" / "features" / "efficientnet_lite0")
slide = store.read("A-001-1")
print(slide.features_ND.shape, slide.features_ND.dtype)
print(slide.record.recipe)

# %% [markdown]
# ## Who was predicted by whom
#
# Every patient once, by the model of the fold that held the patient out.

# %%
from histofed.io.predictions import read_predictions
from histofed.io.runs import RunFolder
from histofed.pipeline.asking import task_of
from histofed.pipeline.study import stored_config

folder = RunFolder(run)
task = task_of(stored_config(folder).task)
for prediction in read_predictions(folder.predictions("federated"), task=task)[:4]:
    print(prediction.patient_id, task.in_words(prediction.label), prediction.outputs)

# %% [markdown]
# ## Raw scores of one slide

# %%
from histofed.io.store import ScoreStore

scores = ScoreStore(run / "scores").read("A-001-1")
print({name: (values.min(), values.max()) for name, values in scores.scores.items()})
