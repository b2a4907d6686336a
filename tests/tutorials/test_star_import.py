"""What the tutorials import."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import ulmfit.text.all


def test_the_star_import_is_quick_and_every_name_is_there():
    code = """
import json, sys
from ulmfit.text.all import *
heavy = {"accelerate", "matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "spacy"} & set(sys.modules)
print(json.dumps([sorted(heavy), pd.DataFrame({"a": [1]}).shape]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], [1, 1]]
    names = ulmfit.text.all.__all__
    assert {"TextDataLoaders", "AWD_LSTM", "Learner", "accuracy", "untar_data", "Path", "torch", "pd"} <= set(names)
    everything = [getattr(ulmfit.text.all, name) for name in names]
    own = [thing for thing in everything if getattr(thing, "__module__", "").startswith("ulmfit")]
    assert len(own) > 100
    assert all(thing.__doc__ for thing in own if inspect.isclass(thing) or inspect.isfunction(thing))


def test_names_of_callbacks_and_layers_are_there():
    wanted = {"class_weights", "SaveBest", "Recorder", "RNNDropout", "EmbeddingDropout", "TerminateOnNaNCallback"}
    assert wanted <= set(ulmfit.text.all.__all__)
