"""Writes peer.json: what fastai 2.8.12 makes of the texts in inputs.json. Run in an environment that holds the peer.

python tests/text/golden/make_golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

from fastai.text import core

HERE = Path(__file__).parent
RULES = [rule.__name__ for rule in [*core.defaults.text_proc_rules, *core.defaults.text_postproc_rules]]


def main() -> None:
    inputs = json.loads((HERE / "inputs.json").read_text(encoding="utf-8"))
    out: dict[str, object] = {"rules": {name: [getattr(core, name)(text) for text in inputs["en"]] for name in RULES}}
    for lang, texts in inputs.items():
        tokenize = core.TokenizeWithRules(core.WordTokenizer(lang))
        out[lang] = [list(tokens) for tokens in tokenize(texts)]
    (HERE / "peer.json").write_text(json.dumps(out, ensure_ascii=True, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
