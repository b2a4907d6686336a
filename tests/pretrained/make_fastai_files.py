"""Writes small files with fastai, to be read by the tests; run in an environment that has fastai, not this package.

python tests/pretrained/make_fastai_files.py tests/pretrained/fastai
"""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import pandas as pd
import torch
from fastai.text.all import AWD_LSTM, LMLearner, TextDataLoaders, awd_lstm_lm_config, language_model_learner

TEXTS = [
    "The harbour lay quiet under a grey morning, and nobody had come for the boats.",
    "Nobody had seen the grey boat since the morning of the storm.",
    "Under the quiet harbour wall the boats had come to nobody in particular.",
] * 8


def main(out: Path) -> None:
    """Random weights serve; an epoch at the end gives the optimizer something to keep."""
    learn = learner(out)
    learn.model[1].decoder.bias.data.uniform_(-1, 1)
    learn.save("learner", with_opt=False)
    learn.save_encoder("encoder")
    learn.export("export.pkl")
    state = learn.model.state_dict()
    torch.save(state, out / "old-format.pth", _use_new_zipfile_serialization=False)
    with (out / "vocab.pkl").open("wb") as file:
        pickle.dump(list(learn.dls.vocab), file)
    ids = torch.tensor([[2, 8, 9, 12, 10], [2, 11, 9, 9, 3]])
    learn.model.reset()
    learn.model.eval()
    with torch.no_grad():
        logits = learn.model(ids)[0]
    expected = {
        "ids": ids.tolist(),
        "log_probabilities": logits.log_softmax(-1).tolist(),
        "vocab": list(learn.dls.vocab),
    }
    (out / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")
    learner(out, backwards=True).export("backward.pkl")
    learn.fit_one_cycle(1, 1e-2)
    learn.save("trained", with_opt=False)
    learn.save("trained-with-optimizer")


def learner(out: Path, *, backwards: bool = False) -> LMLearner:
    """Of a small language model with random weights, always the same ones."""
    torch.manual_seed(0)
    dls = TextDataLoaders.from_df(
        pd.DataFrame({"text": TEXTS, "label": 0}),
        text_col="text",
        is_lm=True,
        valid_pct=0.25,
        seed=0,
        bs=2,
        seq_len=8,
        backwards=backwards,
    )
    config = {**awd_lstm_lm_config, "emb_sz": 6, "n_hid": 10, "n_layers": 2}
    return language_model_learner(dls, AWD_LSTM, config=config, pretrained=False, path=out, model_dir=".")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
