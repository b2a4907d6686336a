"""fastai's ULMFiT for the tables of results: the stages and rates of its tutorial, without its weights.

    python benchmarks/results_fastai.py TASK_FOLDER ANSWER.json [--seed 0] [--lm-epochs 4] [--weights FOLDER]

Run in an environment of its own (`environments.py`). Its pretrained weights come from the network and are not used.
The language model begins with random numbers, as `ulmfit-no-base` does, and learns from the same texts for some epochs;
or, with the sizes and the weights of one of this library (`results_fastai_weights.py`), as the tutorial goes on from
fastai's own: an epoch with frozen layers, then the others, of which the tutorial has ten (`--lm-epochs 11`). As there,
nothing is chosen by what is held out: a tenth, or the dev part. One class for each text only.

Source: https://docs.fast.ai/tutorial.text.html, "The ULMFiT approach"
"""

from __future__ import annotations

import argparse
import json
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from results_tasks import SINGLE, read_part, read_task

HELD_OUT = 0.1
BASE = "base"


def main() -> None:
    """Train, predict, write the answer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", type=Path)
    parser.add_argument("answer", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lm-epochs", type=int, default=4)
    parser.add_argument("--weights", type=Path, help="what results_fastai_weights.py wrote")
    given = parser.parse_args()
    if given.weights is not None and given.lm_epochs < 2:
        parser.error("--weights: the first epoch is one with frozen layers; --lm-epochs takes 2 or more")
    if read_task(given.task).kind != SINGLE:
        raise SystemExit("one class for each text only")
    peer: Any = import_module("fastai.text.all")
    peer.set_seed(given.seed)
    known = _table(given.task)
    texts = [known]
    if (given.task / "unlabelled.csv").is_file():
        texts.append(pd.read_csv(given.task / "unlabelled.csv", keep_default_na=False, dtype=str)[["text"]])
    common = {"text_col": "text", "seed": given.seed}
    with tempfile.TemporaryDirectory() as folder:
        everything = pd.concat(texts, ignore_index=True)
        lm_dls = peer.TextDataLoaders.from_df(everything, path=folder, is_lm=True, valid_pct=HELD_OUT, **common)
        sizes: dict[str, Any] = {}
        if given.weights is None:
            learn = peer.language_model_learner(lm_dls, peer.AWD_LSTM, path=folder, pretrained=False)
            learn.fit_one_cycle(given.lm_epochs, 1e-2)
        else:
            sizes = _store_as_its_own(peer, given.weights, Path(folder) / "models")
            config = {**peer.awd_lstm_lm_config, **sizes}
            learn = peer.language_model_learner(
                lm_dls, peer.AWD_LSTM, config=config, path=folder, pretrained_fnames=[BASE, BASE], wd=0.1
            )
            learn.fit_one_cycle(1, 1e-2)
            learn.unfreeze()
            learn.fit_one_cycle(given.lm_epochs - 1, 1e-3)
        learn.save_encoder("finetuned")
        split = {"valid_col": "is_valid"} if "is_valid" in known else {"valid_pct": HELD_OUT}
        dls = peer.TextDataLoaders.from_df(
            known, path=folder, label_col="label", text_vocab=lm_dls.vocab, **split, **common
        )
        config = {**peer.awd_lstm_clas_config, **sizes}
        learn = peer.text_classifier_learner(
            dls, peer.AWD_LSTM, config=config, path=folder, drop_mult=0.5, metrics=peer.accuracy, pretrained=False
        )
        learn.load_encoder("finetuned")
        learn.fit_one_cycle(1, 2e-2)
        for freeze_to, epochs, high in ((-2, 1, 1e-2), (-3, 1, 5e-3), (0, 2, 1e-3)):
            learn.freeze_to(freeze_to)
            learn.fit_one_cycle(epochs, slice(high / 2.6**4, high))
        test = dls.test_dl(read_part(given.task, "test")[0])
        answers = learn.get_preds(dl=test)[0].argmax(-1).tolist()
    given.answer.write_text(json.dumps([str(dls.vocab[1][i]) for i in answers]), encoding="utf-8")


def _store_as_its_own(peer: Any, weights: Path, folder: Path) -> dict[str, int]:
    """Write the files that fastai loads pretrained weights and their words from; the sizes of the model."""
    arrays = {name: torch.tensor(array) for name, array in np.load(weights / "weights.npz").items()}
    words = json.loads((weights / "words.json").read_text(encoding="utf-8"))
    n_layers = sum(name.endswith(".weight_hh") for name in arrays)
    sizes = {"emb_sz": arrays["embedding"].shape[1], "n_hid": arrays["0.weight_hh"].shape[1], "n_layers": n_layers}
    model = peer.get_language_model(peer.AWD_LSTM, len(words), config={**peer.awd_lstm_lm_config, **sizes})
    state = model.state_dict()
    named = {"0.encoder.weight": "embedding", "1.decoder.bias": "bias"}
    for i in range(n_layers):
        named[f"0.rnns.{i}.weight_hh_l0_raw"] = f"{i}.weight_hh"
        named |= {f"0.rnns.{i}.module.{k}_l0": f"{i}.{k}" for k in ("weight_ih", "bias_ih", "bias_hh")}
    for name, ours in named.items():
        state[name].copy_(arrays[ours])
    folder.mkdir()
    torch.save(model.state_dict(), folder / f"{BASE}.pth")
    peer.save_pickle(folder / f"{BASE}.pkl", words)
    return sizes


def _table(folder: Path) -> pd.DataFrame:
    """The training part, and the dev part marked as such where there is one."""
    parts = {part: folder / f"{part}.csv" for part in ("train", "dev")}
    tables = [pd.read_csv(p, keep_default_na=False, dtype=str) for p in parts.values() if p.is_file()]
    if len(tables) == 1:
        return tables[0]
    return pd.concat([t.assign(is_valid=bool(i)) for i, t in enumerate(tables)], ignore_index=True)


if __name__ == "__main__":
    main()
