"""Tokenizing in several processes."""

from __future__ import annotations

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from multiprocessing.connection import Connection
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ulmfit.errors import ConfigError, UlmfitError
from ulmfit.text.batching import batches
from ulmfit.text.counting import Encoder, Types
from ulmfit.text.engine import Encoded, tokens_of
from ulmfit.text.tokenizers import Tokenizer
from ulmfit.text.vocab import Vocab

_DOCUMENTS = 1_024  # that a process takes at once: few enough for all to end at about the same time
_Answer = tuple[bytes, NDArray[np.int64], list[str]]


def encode_parallel(
    texts: Iterable[str], tokenizer: Tokenizer, vocab: Vocab | None, types: Types, workers: int
) -> Iterator[Encoded]:
    """Turn texts into ids in several processes.

    Args:
        texts: any number of texts.
        tokenizer: what cuts them.
        vocab: the vocabulary; None for provisional ids.
        types: where provisional ids are given and counted.
        workers: the number of processes.

    Yields:
        For some texts after the others, their ids and how many each has.

    Raises:
        ConfigError: if the tokenizer cannot be sent to another process.
        UlmfitError: if a process ends too early.
    """
    remotes: list[_Remote] = []
    waiting: deque[tuple[_Remote, Future[_Answer]]] = deque()
    try:
        for _ in range(workers):
            remotes.append(_Remote(tokenizer, vocab))
        feed = batches(texts, _DOCUMENTS)
        # Every process gets its batches in order and has one more waiting, so that it is never idle.
        turn = 0
        for batch in islice(feed, 2 * workers):
            waiting.append(remotes[turn % workers].submit(batch))
            turn += 1
        while waiting:
            remote, future = waiting.popleft()
            answer = future.result()
            for batch in islice(feed, 1):
                waiting.append(remotes[turn % workers].submit(batch))
                turn += 1
            yield remote.translate(answer, types if vocab is None else None)
    finally:
        for remote in remotes:
            remote.close()


def tokenize_parallel(texts: Iterable[str], tokenizer: Tokenizer, workers: int) -> Iterator[list[str]]:
    """Cut texts into tokens in several processes.

    Args:
        texts: any number of texts.
        tokenizer: what cuts them.
        workers: the number of processes.

    Yields:
        The tokens of each text, in the order of the texts.
    """
    types, names = Types(), list[str]()
    for encoded in encode_parallel(texts, tokenizer, None, types, workers):
        names += islice(types.ids, len(names), None)
        yield from tokens_of(encoded, names)


_UNGUARDED = (
    'a script that tokenizes in several processes starts its work under `if __name__ == "__main__":`, as each process '
    "runs its other lines anew. Add that line, or use one worker."
)


class _Remote:
    """One process, with the thread that talks to it."""

    def __init__(self, tokenizer: Tokenizer, vocab: Vocab | None) -> None:
        if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself finds out
            raise UlmfitError(_UNGUARDED)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, tokenizer, vocab), daemon=True)
        try:
            self._process.start()
        except OSError:
            raise
        except Exception as error:
            raise ConfigError(
                f"The tokenizer cannot be sent to other processes ({error}). Define your rules as functions of a "
                "module, not within functions or as lambda, or use workers=1."
            ) from error
        theirs.close()
        self._thread = ThreadPoolExecutor(1)
        self._ids = np.zeros(0, dtype=np.uint32)

    def submit(self, batch: list[str]) -> tuple[_Remote, Future[_Answer]]:
        return self, self._thread.submit(self._ask, batch)

    def _ask(self, batch: list[str]) -> _Answer:
        try:
            self._connection.send(batch)
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(1)
            raise UlmfitError(
                f"A tokenizing process ended with exit code {self._process.exitcode}. If memory was enough: "
                + _UNGUARDED
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        return cast(_Answer, answer)

    def translate(self, answer: _Answer, types: Types | None) -> Encoded:
        """Exchange the process's own provisional ids for those that all processes share."""
        packed, lengths, new = answer
        ids = np.frombuffer(packed, dtype="<u4")
        if types is None:
            return ids, lengths
        if new:
            self._ids = np.concatenate([self._ids, np.array([types.add(token) for token in new], dtype=np.uint32)])
        ids = self._ids[ids]
        types.count(ids)
        return ids, lengths

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._process.terminate()
        self._process.join()
        self._connection.close()


def _serve(connection: Connection[Any, Any], tokenizer: Tokenizer, vocab: Vocab | None) -> None:
    # spaCy imports torch if it finds it: 1 s and 150 MB for nothing in a process that only cuts texts.
    cast(dict[str, Any], sys.modules).setdefault("torch", None)
    encoder, known = Encoder(tokenizer, vocab), 0
    while True:
        try:
            batch = connection.recv()
        except EOFError:
            return
        try:
            ids, lengths = encoder(batch)
            new = list(islice(reversed(encoder.types.ids), encoder.types.n - known))[::-1]
            known = encoder.types.n
            connection.send((ids.tobytes(), lengths, new))
        except Exception as error:
            connection.send(error)
            return
