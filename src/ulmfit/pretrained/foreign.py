"""Reading what other libraries pickled, without running any of it.

A pickle is a program that may call any function it names. This reader lets it name only what holds plain data, and the
functions that put tensors together, which are replaced by our own; anything else is refused before it is called. What
an optimizer beside the weights is made of, and with `inert=True` other names, become records that keep their arguments
and do nothing.

Source: the Python documentation, "Restricting Globals" of the module pickle; the file formats of torch.save.
"""

from __future__ import annotations

import collections
import io
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

from ulmfit.errors import FormatError

_DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
# With these a pickle acts on the machine. A record of them would do nothing, but no honest file names them: say so.
_SUSPECT = frozenset(
    {"os", "nt", "posix", "subprocess", "sys", "shutil", "socket", "ctypes", "importlib", "runpy", "pty"}
    | {"webbrowser", "code", "commands", "multiprocessing"}
)
# What holds the optimizer's numbers in a file of `learn.save`, beside the weights: records, in any file.
_OF_OPTIMIZERS = frozenset(
    {("fastcore.foundation", "L"), ("numpy", "dtype"), ("_codecs", "encode")}
    | {("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")}
)
_NEVER = frozenset(
    (module, name)
    for module in ("builtins", "__builtin__")
    for name in ("eval", "exec", "execfile", "compile", "__import__", "open", "input")
)


class Record:
    """Stands for an object of another library: its name, its arguments and its state, and no behaviour."""

    name = ""

    arguments: tuple[object, ...]
    named: dict[str, object]
    content: list[Any]
    state: object

    def __new__(cls, *arguments: object, **named: object) -> Self:
        """Keep the arguments; a pickle may make objects without calling `__init__`."""
        record = super().__new__(cls)
        record.arguments, record.named, record.content, record.state = arguments, named, [], None
        return record

    def __call__(self, *arguments: object, **named: object) -> Record:
        """Stands for what the object would have returned."""
        return Record(self, *arguments, **named)

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        self.content.append((key, value))

    def append(self, value: object) -> None:
        """Keep an element of a list."""
        self.content.append(value)

    def extend(self, values: list[Any]) -> None:
        """Keep elements of a list."""
        self.content.extend(values)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class _Storage:
    """A storage that a tensor is cut from: its type and its bytes, which may come later."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.content = bytearray()


class _Later:
    """A tensor whose storage has not been read yet."""

    def __init__(self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def tensor(self) -> Tensor:
        if not math.prod(self.size):
            return torch.empty(self.size, dtype=self.storage.dtype)
        n = len(self.storage.content) // self.storage.dtype.itemsize
        last = self.offset + sum((s - 1) * step for s, step in zip(self.size, self.stride, strict=True))
        if self.offset < 0 or min((0, *self.stride)) < 0 or last >= n:
            raise FormatError(f"a tensor of shape {self.size} does not fit its storage of {n} numbers")
        flat = torch.frombuffer(self.storage.content, dtype=self.storage.dtype)
        return flat.as_strided(self.size, self.stride, self.offset).clone()


def _tensor(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Later:
    return _Later(storage, offset, size, stride)


def _parameter(tensor: _Later, *_: object) -> _Later:
    return tensor


class _Reader(pickle.Unpickler):
    """Puts together plain data and tensors, and refuses the rest."""

    def __init__(self, file: io.BufferedIOBase | BinaryIO, load: Callable[[Any], _Storage], inert: bool) -> None:
        super().__init__(file)
        self._load, self._inert = load, inert

    def persistent_load(self, pid: Any) -> _Storage:
        return self._load(pid)

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("builtins", "frozenset"): frozenset,
            ("__builtin__", "frozenset"): frozenset,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_tensor"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _DTYPES:
            return type(name, (), {"dtype": _DTYPES[name]})
        if (module, name) in _OF_OPTIMIZERS:
            return type(name, (Record,), {"name": f"{module}.{name}"})
        if self._inert and module.partition(".")[0] not in _SUSPECT and (module, name) not in _NEVER:
            return type(name, (Record,), {"name": f"{module}.{name}"})
        raise FormatError(
            f"the file names {module}.{name}, which is not plain data; it was not run. Files of weights and "
            "vocabularies hold numbers, texts, lists and dictionaries only"
        )


def read_foreign(path: Path, *, inert: bool = False) -> Any:
    """The plain data and tensors of a file written by pickle or torch.save, running nothing of it.

    Args:
        path: a pickle, or a file of torch.save, of before or after torch 1.6.
        inert: read other objects as `Record`, for exported learners.

    Returns:
        lists, dictionaries, strings, numbers, tensors and records; nothing in it has behaviour of its own.

    Raises:
        FormatError: the file names something that could be run, is damaged, or of another format.
    """
    try:
        if zipfile.is_zipfile(path):
            value = _read_zip(path, inert)
        else:
            with path.open("rb") as file:
                if file.peek(2)[:2] == b"PK":
                    raise FormatError("the end of the file is missing; copy or download it again")
                value = _read_stream(file, inert)
        return _finished(value, {})
    except FileNotFoundError as error:
        raise FormatError(f"{path} does not exist") from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, OSError, EOFError, KeyError, IndexError, ValueError, TypeError) as error:
        raise FormatError(f"{path} is not such a file, or is damaged: {type(error).__name__}: {error}") from error
    except (AttributeError, ImportError, UnicodeDecodeError, zipfile.BadZipFile, RecursionError) as error:
        raise FormatError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    except (MemoryError, OverflowError) as error:
        raise FormatError(f"{path} is damaged, or needs more memory than there is") from error


def _read_zip(path: Path, inert: bool) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        main = next((n for n in names if n.rpartition("/")[2] == "data.pkl"), None)
        if main is None:
            raise FormatError("a zip file without data.pkl: not a file of torch.save")
        root = main.removesuffix("data.pkl")
        order = archive.read(root + "byteorder") if root + "byteorder" in names else b"little"
        if order != b"little":
            raise FormatError(f"numbers of the byte order {order!r} cannot be read")
        storages: dict[str, _Storage] = {}

        def load(pid: Any) -> _Storage:
            _, kind, key = pid[:3]
            if key not in storages:
                storages[key] = _Storage(kind.dtype)
                storages[key].content = bytearray(archive.read(f"{root}data/{key}"))
            return storages[key]

        return _Reader(io.BytesIO(archive.read(main)), load, inert).load()


def _read_stream(file: BinaryIO, inert: bool) -> Any:
    """A plain pickle, or the format of torch before 1.6: some pickles, then the storages."""
    storages: dict[str, _Storage] = {}

    def load(pid: Any) -> _Storage:
        if pid[0] != "storage" or (len(pid) > 5 and pid[5] is not None):
            raise FormatError("views of storages cannot be read; save the file anew with a newer torch")
        return storages.setdefault(pid[2], _Storage(pid[1].dtype))

    def following() -> Any:
        return _Reader(file, load, inert).load()

    first = following()
    if first != _LEGACY_MAGIC:
        return first
    following()  # version of the protocol
    following()  # facts of the machine
    value = following()
    for key in following():
        size = int.from_bytes(file.read(8), "little")
        storage = storages[key]
        storage.content = bytearray(file.read(size * storage.dtype.itemsize))
        if len(storage.content) != size * storage.dtype.itemsize:
            raise EOFError(f"storage {key} is cut short")
    return value


def _finished(value: Any, seen: dict[int, Any]) -> Any:
    """The same value with tensors in place of those whose storage came later."""
    if isinstance(value, _Later):
        return value.tensor()
    if id(value) in seen:
        return seen[id(value)]
    if isinstance(value, Mapping):
        made: Any = {}
        seen[id(value)] = made
        made.update({k: _finished(v, seen) for k, v in value.items()})
        return made
    if isinstance(value, list):
        made = []
        seen[id(value)] = made
        made.extend(_finished(v, seen) for v in value)
        return made
    if isinstance(value, tuple):
        made = tuple(_finished(v, seen) for v in value)
        seen[id(value)] = made  # a tuple may hold another twice, and that again
        return made
    if isinstance(value, Record):
        seen[id(value)] = value
        for name in list(vars(value)):
            setattr(value, name, _finished(getattr(value, name), seen))
    return value


def walk(value: Any) -> Iterator[Any]:
    """Every value inside of a value, once."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif isinstance(one, Record):
            waiting += vars(one).values()
