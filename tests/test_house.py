"""The rules of the house, checked over the source of the package. Each check is also shown to find what it is for."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ulmfit

PACKAGE = Path(ulmfit.__file__).parent

# What each stage may import of the package besides itself. Imports under `if TYPE_CHECKING` and inside functions count:
# a stage that needs the type of a later one knows too much. Whatever is not named here stands above all stages.
EVERYWHERE = {"errors", "arguments", "elsewhere", "_version"}
MAY_IMPORT = {
    "errors": set[str](),
    "arguments": {"errors"},
    "_version": set[str](),
    "text": set[str](),
    "models": {"text"},
    "data": {"text", "models"},
    "inference": {"text", "models", "data"},
    "pretrained": {"text", "models", "data", "inference"},
    "training": {"text", "models", "data", "inference", "pretrained"},
    "integrations": {"text", "models", "data", "inference", "pretrained", "training"},
}
FACADES = {"__init__.py", "text/all.py"}  # they only gather the names of every stage, and no stage may import them
MAX_LINES = 400
UNSAFE_MODULES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
RESTRICTED_READER = "pretrained/foreign.py"  # reads such files without running anything; its tests try
UNSAFE_CALLS = {"torch.load", "torch.save", "read_pickle", "to_pickle", "eval", "exec"}
HEAVY = {"accelerate", "numpy", "pandas", "pyarrow", "scipy", "sentencepiece", "sklearn", "spacy", "torch"}


def modules(package: Path) -> Iterator[tuple[str, str]]:
    """Yield name and source of each module of a package, the name as its path within the package."""
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")


def imported(name: str, source: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of everything that a module imports, relative imports resolved against `ulmfit`."""
    parts = ["ulmfit", *Path(name).parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + 1] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module"):
            yield from (
                (node.lineno, a.value) for a in node.args if isinstance(a, ast.Constant) and "." in str(a.value)
            )


def dotted(node: ast.expr) -> str:
    """Return `a.b.c` for such an expression, and what is known of it for any other."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def is_facade(source: str) -> bool:
    """Whether a module is another name of `ulmfit.text.all`: its docstring and the star import, and no more."""
    match ast.parse(source).body:
        case [ast.Expr(), ast.ImportFrom(module="ulmfit.text.all", names=[ast.alias(name="*")])]:
            return True
    return False


def wrong_direction(name: str, source: str) -> Iterator[str]:
    stage = name.split("/")[0].removesuffix(".py")
    if name in FACADES or stage not in MAY_IMPORT or is_facade(source):
        return
    allowed = MAY_IMPORT[stage] | EVERYWHERE | {stage}
    for line, target in imported(name, source):
        parts = target.split(".")
        if parts[0] == "ulmfit" and parts[1:] != ["__version__"] and (len(parts) < 2 or parts[1] not in allowed):
            yield f"{name}:{line}: {stage} must not import {target}"
        if target.startswith("ulmfit.text.all"):
            yield f"{name}:{line}: {target} is for users"


def too_long(name: str, source: str) -> Iterator[str]:
    if (lines := len(source.splitlines())) > MAX_LINES:
        yield f"{name}: {lines} lines, at most {MAX_LINES}"


def prints(name: str, source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"print", "pprint"}:
            yield f"{name}:{node.lineno}: {node.func.id}()"


def runs_foreign_code(name: str, source: str) -> Iterator[str]:
    for line, target in imported(name, source):
        if name == RESTRICTED_READER and target == "pickle":
            continue
        if target.split(".")[0] in UNSAFE_MODULES or target in {"torch.load", "torch.save"}:
            yield f"{name}:{line}: import of {target}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            call = dotted(node.func)
            if {call, call.rpartition(".")[2] if "pickle" in call else call} & UNSAFE_CALLS:
                yield f"{name}:{node.lineno}: {call}()"
            if any(k.arg == "allow_pickle" and not is_false(k.value) for k in node.keywords):
                yield f"{name}:{node.lineno}: allow_pickle"


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def mutable_state(name: str, source: str) -> Iterator[str]:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield f"{name}:{node.lineno}: global {', '.join(node.names)}"
    for statement in tree.body:
        value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
        empty = (
            (isinstance(value, ast.Dict) and not value.keys)
            or (isinstance(value, ast.List) and not value.elts)
            or (isinstance(value, ast.Call) and not value.args and dotted(value.func) in {"dict", "list", "set"})
            or (isinstance(value, ast.Call) and dotted(value.func).endswith(("defaultdict", "Counter", "deque")))
        )
        if empty:
            yield f"{name}:{statement.lineno}: a container of the module that waits to be filled"


def guesses_encoding(name: str, source: str) -> Iterator[str]:
    """Text files opened with the encoding of the platform, which is another on Windows."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            call = dotted(node.func).rpartition(".")[2]
            modes = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            text = call in {"read_text", "write_text"} or (
                call in {"open", "fdopen"} and any(m in "ratw+" for m in modes)
            )
            if text and not any(k.arg == "encoding" for k in node.keywords):
                yield f"{name}:{node.lineno}: {call}() without encoding"


RULES: list[tuple[Callable[[str, str], Iterator[str]], str, str]] = [
    (wrong_direction, "text/a.py", "from ulmfit.models.config import AWDLSTMConfig"),
    (wrong_direction, "models/a.py", "from ..data import loaders"),
    (wrong_direction, "inference/a.py", "def f():\n    import ulmfit.training.learner"),
    (wrong_direction, "inference/a.py", "if TYPE_CHECKING:\n    from ulmfit.training import Learner"),
    (wrong_direction, "data/a.py", "from ulmfit import TextClassifier"),
    (wrong_direction, "data/a.py", "import ulmfit"),
    (wrong_direction, "training/a.py", "from ulmfit.cli import app"),
    (wrong_direction, "training/a.py", "importlib.import_module('ulmfit.integrations.onnx')"),
    (wrong_direction, "training/a.py", "from ulmfit.text.all import *"),
    (wrong_direction, "errors.py", "from ulmfit.text import vocab"),
    (too_long, "text/a.py", "x = 1\n" * (MAX_LINES + 1)),
    (prints, "cli.py", "def f():\n    print('hello')"),
    (runs_foreign_code, "training/a.py", "import pickle"),
    (runs_foreign_code, "training/a.py", "from joblib import dump"),
    (runs_foreign_code, "training/a.py", "torch.load(path, weights_only=True)"),
    (runs_foreign_code, "training/a.py", "from torch import load"),
    (runs_foreign_code, "data/a.py", "frame = pd.read_pickle(path)"),
    (runs_foreign_code, "data/a.py", "np.load(path, allow_pickle=True)"),
    (runs_foreign_code, "data/a.py", "eval(text)"),
    (guesses_encoding, "data/a.py", "path.read_text()"),
    (guesses_encoding, "data/a.py", "path.open('w')"),
    (guesses_encoding, "data/a.py", "open(path, 'r')"),
    (mutable_state, "text/a.py", "def f():\n    global x\n    x = 1"),
    (mutable_state, "text/a.py", "CACHE: dict[str, int] = {}"),
    (mutable_state, "text/a.py", "seen = set()"),
    (mutable_state, "text/a.py", "counts = collections.defaultdict(int)"),
]


@pytest.mark.parametrize("rule", dict.fromkeys(rule for rule, _, _ in RULES), ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Callable[[str, str], Iterator[str]]) -> None:
    found = [problem for name, source in modules(PACKAGE) for problem in rule(name, source)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("rule", "name", "source"), RULES)
def test_the_rule_finds_a_breach(rule: Callable[[str, str], Iterator[str]], name: str, source: str) -> None:
    assert list(rule(name, source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "inference/a.py",
            "from ulmfit.text.vocab import Vocab\nfrom ..models import config\nfrom ulmfit import __version__",
        ),
        ("data/a.py", "from ulmfit.errors import DataError\nfrom .sources import read\nimport numpy"),
        ("training/a.py", "from ulmfit.inference.bundle import save\nfrom ulmfit.pretrained import weights"),
        ("cli.py", "from ulmfit.training.recipes import train\nNAMES = ['a']\nnp.load(path, allow_pickle=False)"),
        ("text/all.py", "from ulmfit.training.learner import Learner"),
        ("models/a.py", "model.eval()\nself.load(path)"),
        ("data/a.py", "path.open('rb')\nTokenStore.open(folder)\npath.write_text(x, encoding='utf-8')"),
    ],
)
def test_the_rules_leave_good_code_alone(name: str, source: str) -> None:
    assert not [problem for rule in dict.fromkeys(rule for rule, _, _ in RULES) for problem in rule(name, source)]


@pytest.mark.parametrize("folder", ["tests", "benchmarks", ".ci"])
def test_files_around_the_package_name_their_encoding(folder: str) -> None:
    around = modules(PACKAGE.parents[1] / folder)
    assert [problem for name, source in around for problem in guesses_encoding(name, source)] == []


def test_every_stage_is_in_the_table() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert folders - MAY_IMPORT.keys() == {"cli", "callback"}  # which stand above all stages


def in_fresh_interpreter(code: str) -> object:
    """Run code in a new interpreter and return what it prints, read as JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ["ulmfit", "ulmfit.cli", "ulmfit.errors"])
def test_import_is_light(module: str) -> None:
    loaded = in_fresh_interpreter(f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))")
    assert isinstance(loaded, list)
    assert module in loaded
    assert sorted(HEAVY & set(loaded)) == []


def test_importing_every_module_changes_nothing_global() -> None:
    names = [f"ulmfit.{name.removesuffix('.py').replace('/', '.')}" for name, _ in modules(PACKAGE)]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = f"""
import contextlib, importlib, json, random
import numpy as np, torch, accelerate, spacy
from ulmfit.errors import MissingExtraError
def state():
    return {{
        "random": hash(random.getstate()),
        "numpy": np.random.get_state()[1].tolist(),
        "torch": torch.random.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "gradients": torch.is_grad_enabled(),
        "cuda": torch.cuda.is_initialized(),
    }}
before = state()
for name in {names!r}:
    with contextlib.suppress(MissingExtraError):  # the module says which package it needs
        importlib.import_module(name)
after = state()
print(json.dumps([key for key in before if before[key] != after[key]]))
"""
    assert in_fresh_interpreter(code) == []
