from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ulmfit.text import rules

GOLDEN = Path(__file__).parent / "golden"
INPUTS = json.loads((GOLDEN / "inputs.json").read_text(encoding="utf-8"))
PEER = json.loads((GOLDEN / "peer.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PEER["rules"])
def test_each_rule_does_what_the_peer_does(name: str) -> None:
    rule = getattr(rules, name)
    assert [rule(text) for text in INPUTS["en"]] == PEER["rules"][name]


def test_special_tokens_stand_in_the_order_of_their_ids() -> None:
    assert (
        tuple(["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj"]) == rules.SPECIAL_TOKENS
    )


def test_lowercase_puts_the_marks_that_it_is_asked_for() -> None:
    assert rules.lowercase(" A b ", add_bos=False, add_eos=True) == "a b xxeos"


@pytest.mark.parametrize(
    "text",
    ["a" * 2_000_000, "ab " * 600_000, "a " * 1_000_000, "A" * 1_000_000 + "a", "A1" * 500_000 + "a", " " * 2_000_000],
    ids=["one character", "one word", "one letter", "capitals", "capitals and digits", "spaces"],
)
def test_rules_take_linear_time(text: str) -> None:
    start = time.process_time()
    for rule in rules.DEFAULT_RULES:
        rule(text)
    assert time.process_time() - start < 5  # what is quadratic takes hours


def test_the_defaults_have_their_older_names_and_cannot_be_changed() -> None:
    assert rules.defaults.text_proc_rules == rules.DEFAULT_RULES
    assert rules.defaults.text_postproc_rules == (rules.replace_space,)
    assert rules.defaults.text_spec_tok[:3] == ("xxunk", "xxpad", "xxbos")
    with pytest.raises(AttributeError):
        rules.defaults.text_proc_rules = ()  # type: ignore[misc]
