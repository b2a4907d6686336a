"""Writes fastai_names.json, the public names of fastai for texts with their parameters, where fastai is installed.

    PEER_PYTHON tests/docs/fastai_names.py

Names and parameters are all that is written: those of the modules of `fastai.text`, of the callbacks, metrics, losses,
optimizers and of the learner's and loaders' methods that programs for texts use.
"""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

MODULES = """
text.core text.data text.learner text.models.core text.models.awdlstm
callback.core callback.fp16 callback.mixup callback.progress callback.rnn callback.schedule callback.tracker
callback.training data.block data.external interpret learner losses metrics optimizer
"""
METHODS = {
    "Learner": "fit fit_one_cycle fit_flat_cos fit_sgdr fine_tune lr_find freeze freeze_to unfreeze create_opt "
    "validate get_preds tta save load to_fp16 to_bf16 to_fp32 to_non_native_fp16 no_bar no_logging no_mbar "
    "added_cbs removed_cbs add_cb add_cbs remove_cb remove_cbs loss_not_reduced show_training_loop summary",
    "TextLearner": "predict show_results export save_encoder load_encoder load_pretrained",
    "LMLearner": "predict",
}


def parameters(thing: object) -> list[str] | None:
    """The names of the parameters of a function, or of what makes an object of a class."""
    if not callable(thing):
        return None
    try:
        given = inspect.signature(thing).parameters.values()
    except (TypeError, ValueError):
        return None
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in given if p.kind not in variable and p.name != "self"]


def main() -> None:
    """Write the file beside this one."""
    names: dict[str, list[str] | None] = {}
    for module in MODULES.split():
        found = import_module(f"fastai.{module}")
        for name in found.__all__:
            if "." not in name and hasattr(found, name):
                names[name] = parameters(getattr(found, name))
    everything = import_module("fastai.text.all")
    for owner, methods in METHODS.items():
        for method in methods.split():
            names[f"{owner}.{method}"] = parameters(getattr(getattr(everything, owner), method))
    modules = [import_module(f"fastai.{module}") for module in MODULES.split() if module.startswith("text.")]
    text = [name for module in modules for name in module.__all__ if "." not in name]
    content = {"fastai": version("fastai"), "text": sorted(set(text)), "names": dict(sorted(names.items()))}
    Path(__file__).with_suffix(".json").write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
