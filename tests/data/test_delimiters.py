"""Several labels in a cell are told from one label with a comma in its name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit.data.delimiters import find_delimiter


@pytest.mark.parametrize(
    ("cells", "delimiter"),
    [
        (["a;b", "a", "b;c", "c"], ";"),
        (["a | b", "b|a", "c|a"], "|"),
        (["neg", "pos", "neg,pos"], ","),
        (["joy", "love", "fear", "joy love", "love fear", "fear joy"], " "),
        (["", "a;b;", "b", "a"], ";"),
    ],
)
def test_several_labels(cells: list[str], delimiter: str):
    found = find_delimiter(cells)
    assert found is not None
    assert found[0] == delimiter


@pytest.mark.parametrize(
    "cells",
    [
        ["neg", "pos"],
        ["Springfield, IL", "Springfield, MO", "Portland, OR", "Washington, DC"],
        ["sport, football", "sport, tennis", "politics, local"],
        ["high; urgent", "high; normal", "low; urgent", "low; normal"],
        ["Yes, please", "Yes", "No, thanks", "No"],
        ["credit card", "debit card", "card"],
        ["world news", "news", "world", "sports news", "sports"],
        ["", ";", ", ,"],
        [],
    ],
)
def test_single_labels(cells: list[str]):
    assert find_delimiter(cells) is None


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), min_size=1), min_size=1), st.sampled_from(";|, "))
def test_with_every_label_alone_as_well_any_list_of_labels_is_found(sets: list[set[str]], mark: str):
    cells = [mark.join(sorted(one)) for one in sets] + list("abcdefgh")
    several = {cell for cell in cells if mark in cell}
    found = find_delimiter(cells)
    if mark != " ":
        assert found == ((mark, sorted(several)) if several else None)
    elif found is not None:
        assert found[0] == mark
        assert set(found[1]) <= several
