"""Make golden.npz: what fastai 2.8.12 computes from given weights and inputs.

Run it in an environment of its own that holds fastai; the package's tests read the file.

    python tests/parity/make_golden.py
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

V, C, BPTT = 40, 3, 6
SIZES = {"emb_sz": 8, "n_hid": 12, "n_layers": 3}
NO_DROPOUT = {"output_p": 0.0, "hidden_p": 0.0, "input_p": 0.0, "embed_p": 0.0, "weight_p": 0.0}
# Texts of which fastai's pooling is right: in one batch no chunk of padding stands in front of the last chunk.
LENGTHS = [17, 16, 14]


def language_model(text: Any) -> dict[str, torch.Tensor]:
    """Two batches of a stream: logits, losses, regularisers, gradients of the second, state after it."""
    config = text.awd_lstm_lm_config | SIZES | NO_DROPOUT
    torch.manual_seed(1)
    model = text.get_language_model(text.AWD_LSTM, V, config).train()
    result = {f"lm.weights.{k}": v.clone() for k, v in model.state_dict().items()}
    ids = torch.randint(2, V, (4, 21))
    result["lm.ids"] = ids
    for n, (start, stop) in enumerate(((0, 10), (10, 20))):
        logits, raw, dropped = model(ids[:, start:stop])
        ar, tar = dropped.float().pow(2).mean(), (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, start + 1 : stop + 1].flatten())
        result |= {f"lm.{n}.logits": logits.detach(), f"lm.{n}.loss": loss.detach()}
        result |= {f"lm.{n}.ar": ar.detach(), f"lm.{n}.tar": tar.detach()}
    (loss + 2 * ar + tar).backward()
    result |= {f"lm.gradients.{name}": p.grad for name, p in model.named_parameters()}
    for i, (hidden, cell) in enumerate(model[0].hidden):
        result |= {f"lm.state.{i}.hidden": hidden, f"lm.state.{i}.cell": cell}
    names = {id(p): name for name, p in model.named_parameters()}
    for i, group in enumerate(text.awd_lstm_lm_split(model)):
        sizes = sorted({names[id(p)]: p.numel() for p in group}.values())
        result[f"lm.groups.{i}"] = torch.tensor(sizes)
    return result


def classifier(text: Any) -> dict[str, torch.Tensor]:
    """A batch of documents in evaluation: the pooled vector and the logits."""
    config = text.awd_lstm_clas_config | SIZES
    torch.manual_seed(2)
    model = text.get_text_classifier(text.AWD_LSTM, V, C, seq_len=BPTT, config=config, max_len=12 * BPTT)
    for buffer in model[1].buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    model.eval()
    result = {f"clas.weights.{k}": v.clone() for k, v in model.state_dict().items()}
    longest = max(LENGTHS)
    ids = torch.full((len(LENGTHS), longest), 1)
    for row, n in enumerate(LENGTHS):
        ids[row, :n] = torch.randint(2, V, (n,))
    core = import_module("fastai.text.models.core")
    with torch.no_grad():
        pooled = core.masked_concat_pool(*model[0](ids), BPTT)
        logits = model(ids)[0]
    result |= {"clas.ids": ids, "clas.lengths": torch.tensor(LENGTHS), "clas.pooled": pooled, "clas.logits": logits}
    for i, group in enumerate(text.awd_lstm_clas_split(model)):
        result[f"clas.groups.{i}"] = torch.tensor(sorted(p.numel() for p in {id(p): p for p in group}.values()))
    return result


def main() -> None:
    """Compute and write."""
    text = import_module("fastai.text.all")
    values = language_model(text) | classifier(text)
    plain = {k: v.detach().clone().contiguous().numpy() for k, v in values.items()}
    np.savez_compressed(Path(__file__).with_name("golden.npz"), **plain)


if __name__ == "__main__":
    main()
