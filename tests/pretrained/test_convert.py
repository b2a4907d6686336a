"""Files that fastai wrote (by make_fastai_files.py), and files that mean harm."""

from __future__ import annotations

import json
import pickle
import shutil
import tarfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from ulmfit.cli import main
from ulmfit.data.external import URLs, untar_data
from ulmfit.errors import FormatError
from ulmfit.inference.bundle import load_bundle
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.convert import convert_fastai
from ulmfit.pretrained.foreign import Record, read_foreign

FILES = Path(__file__).parent / "fastai"
EXPECTED = json.loads((FILES / "expected.json").read_text(encoding="utf-8"))


def log_probabilities(folder: Path) -> torch.Tensor:
    bundle = load_bundle(folder)
    words = [w for w in EXPECTED["vocab"] if w != "xxfake"]
    assert list(bundle.vocab.itos[: len(words)]) == words
    model = LanguageModel(len(bundle.vocab), bundle.config)
    model.load_state_dict(bundle.weights)
    with torch.no_grad():
        return model.eval()(torch.tensor(EXPECTED["ids"])).log_probabilities()


@pytest.mark.parametrize("name", ["learner.pth", "old-format.pth", "export.pkl"])
def test_a_converted_model_gives_the_numbers_of_the_original(name, tmp_path):
    convert_fastai(FILES / name, None if name == "export.pkl" else FILES / "vocab.pkl", tmp_path / "m")
    expected = torch.tensor(EXPECTED["log_probabilities"])
    assert torch.allclose(log_probabilities(tmp_path / "m"), expected, atol=1e-5)


@pytest.mark.parametrize(("url", "names"), [(URLs.WT103_FWD, "fwd"), (URLs.WT103_BWD, "bwd")])
def test_the_weights_of_wikitext_come_from_a_mirror_and_are_converted(url, names, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    with tarfile.open(tmp_path / "mirror" / f"wt103-{names}.tgz", "w:gz") as archive:
        archive.add(FILES / "learner.pth", f"wt103-{names}/lstm_{names}.pth")
        archive.add(FILES / "vocab.pkl", f"wt103-{names}/itos_wt103.pkl")
    monkeypatch.setenv("ULMFIT_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("ULMFIT_CACHE", str(tmp_path / "cache"))
    folder = untar_data(url)
    convert_fastai(folder / f"lstm_{names}.pth", folder / "itos_wt103.pkl", tmp_path / "m", backwards=names == "bwd")
    assert load_bundle(tmp_path / "m").backwards == (names == "bwd")
    assert torch.allclose(log_probabilities(tmp_path / "m"), torch.tensor(EXPECTED["log_probabilities"]), atol=1e-5)


def test_the_optimizer_that_is_saved_beside_weights_is_left_out(tmp_path):
    one, other = (
        convert_fastai(FILES / f"{name}.pth", FILES / "vocab.pkl", tmp_path / name).weights
        for name in ("trained", "trained-with-optimizer")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_export_says_in_which_direction_it_reads(tmp_path, capsys):
    for name, backwards in (("export.pkl", False), ("backward.pkl", True)):
        with pytest.raises(SystemExit) as stop:
            main(["convert", "fastai", str(FILES / name), str(tmp_path / name)])
        assert stop.value.code == 0
        assert load_bundle(tmp_path / name).backwards is backwards
        assert ("read from the end" in capsys.readouterr().out) is backwards


def test_an_encoder_alone_becomes_a_start(tmp_path):
    bundle = convert_fastai(FILES / "encoder.pth", FILES / "vocab.pkl", tmp_path / "m", backwards=True)
    whole = convert_fastai(FILES / "learner.pth", FILES / "vocab.pkl", tmp_path / "whole")
    assert load_bundle(tmp_path / "m").backwards
    assert "; an encoder, to which the embedding is the decoder" in bundle.card
    assert "an encoder" not in whole.card
    for name, weight in whole.weights.items():
        same = torch.equal(bundle.weights[name], weight)
        assert same != (name == "decoder.bias"), name


def test_the_command_converts(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["convert", "fastai", str(FILES / "learner.pth"), str(FILES / "vocab.pkl"), str(tmp_path / "m")])
    assert stop.value.code == 0
    assert "2 layers" in capsys.readouterr().out
    for arguments, message in (
        (["convert", "keras", "a", "b", "c"], "only those of fastai"),
        (["convert", "fastai", "a"], "got 1 name"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())


class _Harm:
    """Unpickled the usual way, this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        import os

        return os.system, (f"echo harm > {self.path}",)


class _Evaluated(_Harm):
    def __reduce__(self):
        return eval, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", [_Harm, _Evaluated])
@pytest.mark.parametrize("inert", [False, True])
def test_a_hostile_file_is_refused_and_not_run(kind, inert, tmp_path):
    sign = tmp_path / "sign"
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(["xxunk", kind(sign)]))
    torch.save({"0.encoder.weight": kind(sign)}, tmp_path / "zip.pth")
    torch.save({"0.encoder.weight": kind(sign)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("plain.pkl", "zip.pth", "old.pth"):
        with pytest.raises(FormatError, match=r"names \S+(system|eval), which is not plain data; it was not run"):
            read_foreign(tmp_path / name, inert=inert)
    assert not sign.exists()


def test_what_an_optimizer_is_made_of_stays_inert(tmp_path):
    path = tmp_path / "optimizer.pkl"
    path.write_bytes(pickle.dumps({"weights": [1.5], "opt": np.float64(2.5)}, protocol=2))  # of numpy and _codecs
    read = read_foreign(path)
    assert read["weights"] == [1.5]
    assert isinstance(read["opt"], Record)


def test_tuples_that_hold_each_other_again_and_again_take_no_time(tmp_path):
    value: tuple[object, ...] = ("ha",)
    for _ in range(60):  # of 2 ** 60 entries, if each were looked at
        value = (value, value)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
    read = read_foreign(tmp_path / "a.pkl")
    for _ in range(60):
        assert read[0] is read[1]
        read = read[0]
    assert read == ("ha",)


def test_a_text_that_claims_more_than_there_is_memory_for_is_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"ha.")
    with pytest.raises(FormatError, match="is damaged"):
        read_foreign(tmp_path / "a.pkl")


def test_attributes_of_records_do_not_lead_anywhere(tmp_path):
    # getattr(OrderedDict, "fromkeys") and the like must not give a function that can be called
    (tmp_path / "a.pkl").write_bytes(b"cbuiltins\ngetattr\n(ccollections\nOrderedDict\nVfromkeys\ntR.")
    with pytest.raises(FormatError, match=r"names builtins\.getattr"):
        read_foreign(tmp_path / "a.pkl")
    value = read_foreign(tmp_path / "a.pkl", inert=True)
    assert type(value).__mro__[1].__name__ == "Record"
    assert value.arguments == (OrderedDict, "fromkeys")
    (tmp_path / "b.pkl").write_bytes(b"ctorch\nFloatStorage.__init__.__globals__\n.")
    with pytest.raises(FormatError, match="__globals__"):
        read_foreign(tmp_path / "b.pkl")


def test_files_that_are_not_what_they_should_be(tmp_path):
    (tmp_path / "text.pth").write_text("hello", encoding="utf-8")
    whole = (FILES / "learner.pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[: len(whole) // 2])
    old = (FILES / "old-format.pth").read_bytes()
    (tmp_path / "old.pth").write_bytes(old[:-50])
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    (tmp_path / "words.pkl").write_bytes(pickle.dumps(["a", "b"]))
    (tmp_path / "few.pkl").write_bytes(pickle.dumps(["xxunk", "b"]))
    (tmp_path / "twice.pkl").write_bytes(pickle.dumps([*EXPECTED["vocab"][:-1], "xxunk"]))
    for name, message in (
        ("text.pth", "damaged"),
        ("short.pth", "the end of the file is missing"),
        ("old.pth", "cut short"),
        ("other.pth", r"no encoder\.weight. Names: fc\.weight"),
        ("list.pth", "holds no weights by name"),
        ("nowhere.pth", "does not exist"),
    ):
        with pytest.raises(FormatError, match=message):
            convert_fastai(tmp_path / name, FILES / "vocab.pkl", tmp_path / "m")
    with pytest.raises(FormatError, match="holds no vocabulary"):
        convert_fastai(FILES / "learner.pth", tmp_path / "words.pkl", tmp_path / "m")
    with pytest.raises(FormatError, match=r"holds words twice, .*: 'xxunk'"):
        convert_fastai(FILES / "learner.pth", tmp_path / "twice.pkl", tmp_path / "m")
    with pytest.raises(FormatError, match="has 2: they do not belong together"):
        convert_fastai(FILES / "learner.pth", tmp_path / "few.pkl", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_weights_that_are_no_numbers_to_compute_with_are_refused(tmp_path):
    state = torch.load(FILES / "learner.pth", weights_only=True)
    state = state.get("model", state)
    name = "0.rnns.0.module.bias_ih_l0"
    for bad, message in (
        (torch.full_like(state[name], float("nan")), "holds numbers that are not finite"),
        (torch.zeros_like(state[name], dtype=torch.int64), f"whole numbers where weights are expected: {name[2:]}"),
    ):
        torch.save({**state, name: bad}, tmp_path / "a.pth")
        with pytest.raises(FormatError, match=message):
            convert_fastai(tmp_path / "a.pth", FILES / "vocab.pkl", tmp_path / "m")


def test_weights_whose_shapes_do_not_fit_are_refused(tmp_path):
    state = torch.load(FILES / "learner.pth", weights_only=True)
    state = state.get("model", state)
    state["0.rnns.1.module.bias_ih_l0"] = torch.zeros(5)
    del state["0.rnns.0.module.bias_hh_l0"]
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(FormatError, match=r"layers\.0\.lstm\.bias_hh_l0 is missing; .*layers\.1.*shape \(5,\)"):
        convert_fastai(tmp_path / "a.pth", FILES / "vocab.pkl", tmp_path / "m")
    shutil.rmtree(tmp_path / "m", ignore_errors=True)
