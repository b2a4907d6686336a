"""Going on with a text: words drawn one after the other from a language model that carries its state.

B samples, T prompt tokens, V vocabulary.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from ulmfit.errors import ConfigError, DataError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, load_bundle
from ulmfit.inference.network import language_model_of
from ulmfit.models.encoder import State, select_state
from ulmfit.models.language_model import LanguageModel
from ulmfit.text.rules import BOS, EOS, PAD, SPECIAL_TOKENS
from ulmfit.text.vocab import FILLER, Vocab

_PROMPT_STEPS = 512  # a long prompt is read in pieces, so that memory does not grow with it


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How words are drawn.

    Args:
        temperature: below 1 likely words become likelier; 0 always takes the likeliest.
        top_k: draw from so many of the likeliest words only.
        top_p: draw from the likeliest words that together have this probability.
        min_p: words less probable than this are not drawn, if at least one is more probable.
        repetition_penalty: above 1, words that the text already has become less likely; 1 for none.
        no_unk: never draw the token for unknown words.

    Raises:
        ConfigError: a number out of its range; all of them are named.

    Source: Fan et al. 2018, "Hierarchical Neural Story Generation" (top-k); Holtzman et al. 2019, "The Curious Case of
    Neural Text Degeneration" (top-p); Keskar et al. 2019, "CTRL", section 4.1 (repetition penalty).
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    no_unk: bool = True

    def __post_init__(self) -> None:
        problems = []
        if not 0 <= self.temperature < float("inf"):
            problems.append(f"temperature={self.temperature} must be at least 0")
        if self.top_k is not None and self.top_k < 1:
            problems.append(f"top_k={self.top_k} must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            problems.append(f"top_p={self.top_p} must be above 0 and at most 1")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            problems.append(f"min_p={self.min_p} must be between 0 and 1")
        if not 0 < self.repetition_penalty < float("inf"):
            problems.append(f"repetition_penalty={self.repetition_penalty} must be positive (1 for none)")
        if problems:
            raise ConfigError("sampling: " + "; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class Stops:
    """When a sample ends.

    Args:
        n_words: after so many tokens at the latest.
        sequences: behind any of these sequences of ids.
        ends: at any of these ids, which is then left out; if none is given, they are never drawn.
    """

    n_words: int
    sequences: tuple[tuple[int, ...], ...] = ()
    ends: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.n_words < 1:
            raise ConfigError(f"n_words={self.n_words} must be at least 1")


@torch.no_grad()
def continue_ids(
    model: LanguageModel, vocab: Vocab, prompt: Sequence[int], sampling: Sampling, stops: Stops, seeds: Sequence[int]
) -> list[list[int]]:
    """Draw tokens that follow a prompt; the cost of each is the same however long the text is.

    Args:
        model: in evaluation mode.
        vocab: of the model.
        prompt: T ids, at least one.
        sampling: how words are drawn.
        stops: when to end.
        seeds: one for each of B samples; a sample depends on its own only.

    Returns:
        the drawn ids of each sample.

    Raises:
        ConfigError: no word of the vocabulary may be drawn.
    """
    device = next(model.parameters()).device
    never = _never(vocab, sampling, stops).to(device)
    if bool(never.all()):
        raise ConfigError(f"no word of the vocabulary ({len(vocab)} entries) may be drawn")
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    state = _read(model, torch.tensor(prompt[:-1], device=device))
    if state is not None:
        state = [(h.expand(-1, len(seeds), -1), c.expand(-1, len(seeds), -1)) for h, c in state]
    last = torch.full((len(seeds),), prompt[-1], device=device)
    marks = torch.tensor([token in SPECIAL_TOKENS for token in vocab.itos], device=device)
    seen = torch.zeros(len(seeds), len(vocab), dtype=torch.bool, device=device)
    seen[:, torch.tensor(prompt, device=device)] = True
    drawn: list[list[int]] = [[] for _ in seeds]
    running = list(range(len(seeds)))
    while running:
        scores, state = model.step(last, state)
        scores = scores.float().masked_fill(never, -torch.inf)
        scores = torch.where(seen[running] & ~marks, scores * sampling.repetition_penalty, scores)
        likely = _likely(scores, sampling)
        tokens = [_draw(row, sampling.temperature, generators[i]) for row, i in zip(likely, running, strict=True)]
        for i, token in zip(running, tokens, strict=True):
            if token not in stops.ends:
                drawn[i].append(token)
                seen[i, token] = True
        rows = [r for r, i in enumerate(running) if not _ended(drawn[i], tokens[r], stops)]
        last = torch.tensor([tokens[r] for r in rows], device=device, dtype=torch.long)
        if len(rows) < len(running):
            state = select_state(state, torch.tensor(rows, device=device, dtype=torch.long))
        running = [running[r] for r in rows]
    return drawn


def _never(vocab: Vocab, sampling: Sampling, stops: Stops) -> Tensor:
    """Which entries are never drawn (V,)."""
    barred = {PAD, *(vocab[i] for i in [vocab.unk_idx] if sampling.no_unk)}
    if not stops.ends:
        barred |= {BOS, EOS}
    return torch.tensor([token in barred or token.startswith(FILLER) for token in vocab.itos])


def _read(model: LanguageModel, ids: Tensor) -> State | None:
    """The state behind the ids (T,); None if there are none."""
    state: State | None = None
    for start in range(0, len(ids), _PROMPT_STEPS):
        _, state = model.encoder.encode(ids[start : start + _PROMPT_STEPS].unsqueeze(0), state)
    return state


def _likely(scores: Tensor, sampling: Sampling) -> Tensor:
    """Scores (B, V) with those that are not to be drawn at minus infinity."""
    if sampling.min_p is not None:
        unlikely = scores.exp() < sampling.min_p
        scores = scores.masked_fill(unlikely & ~unlikely.all(1, keepdim=True), -torch.inf)
    if sampling.top_k is not None and sampling.top_k < scores.shape[1]:
        least = scores.topk(sampling.top_k, 1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1 and sampling.temperature > 0:
        p, order = (scores / sampling.temperature).softmax(1).sort(1, descending=True)
        beyond = p.cumsum(1) - p >= sampling.top_p  # of what the likelier ones already have
        scores = scores.masked_fill(torch.zeros_like(beyond).scatter(1, order, beyond), -torch.inf)
    return scores


def _draw(scores: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    # Less the largest: a tiny temperature must not make infinities of all.
    p = ((scores - scores.max()) / temperature).softmax(0).cpu()
    return int(torch.multinomial(p, 1, generator=generator))


def _ended(drawn: list[int], last: int, stops: Stops) -> bool:
    if last in stops.ends or len(drawn) >= stops.n_words:
        return True
    return any(tuple(drawn[-len(sequence) :]) == sequence for sequence in stops.sequences)


class TextGenerator:
    """Goes on with texts, with a language model read from its folder.

    Args:
        bundle: a language model's folder, as `load_bundle` reads it.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.model = language_model_of(bundle)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model folder.

        Raises:
            FormatError: not a folder with a whole language model in it.
        """
        return cls(load_bundle(Path(path), kind=LANGUAGE_MODEL))

    def generate(
        self,
        prompt: str = "",
        n_words: int = 50,
        *,
        n_samples: int = 1,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        stop_at_end: bool = True,
        seed: int | None = None,
    ) -> list[str]:
        """Go on with a text.

        Args:
            prompt: the beginning (for a model that reads texts from their end, the end); may be empty.
            n_words: tokens to add, at most.
            n_samples: number of texts B.
            sampling: how words are drawn; at temperature 1 from all words, if not given.
            stop: a sample ends behind any of these words or punctuation marks.
            stop_at_end: a sample ends where the model would begin another text; else it never does.
            seed: of the draws: equal seeds give equal texts, and sample i is the same whatever `n_samples` is. A new
                one each time, if not given.

        Returns:
            B texts, each the prompt with what follows, written out without special tokens.

        Raises:
            DataError: the prompt is not a string.
            ConfigError: a number that makes no sense, or a stop rule that the vocabulary cannot say.
        """
        if not isinstance(prompt, str):
            raise DataError(f"the prompt must be a string, not {type(prompt).__name__}")
        if n_samples < 1:
            raise ConfigError(f"n_samples={n_samples} must be at least 1")
        if seed is not None and not 0 <= seed < 2**63 - n_samples:
            raise ConfigError(f"seed={seed} must be at least 0 and below 2**63")
        vocab, backwards = self.bundle.vocab, self.bundle.backwards
        ends = tuple(vocab.stoi[token] for token in (BOS, EOS) if token in vocab) if stop_at_end else ()
        stops = Stops(n_words=n_words, sequences=tuple(self._sequence(s) for s in stop), ends=ends)
        first = secrets.randbits(62) if seed is None else seed
        words = self.bundle.tokenizer(prompt)
        drawn = continue_ids(
            self.model,
            vocab,
            prompt_ids(vocab, words, backwards=backwards),
            sampling or Sampling(),
            stops,
            [(first + i) % 2**63 for i in range(n_samples)],
        )
        return [self.bundle.tokenizer.detokenize(joined(vocab, words, ids, backwards=backwards)) for ids in drawn]

    def _sequence(self, stop: str) -> tuple[int, ...]:
        """The ids of a stop rule, in the order in which the model draws them."""
        words = [token for token in self.bundle.tokenizer(stop) if token not in (BOS, EOS)]
        unknown = [word for word in words if word not in self.bundle.vocab]
        if unknown or not words:
            raise ConfigError(f"stop={stop!r}: " + (f"the model has no word {unknown[0]!r}" if unknown else "is empty"))
        ids = [self.bundle.vocab.stoi[word] for word in words]
        return tuple(reversed(ids) if self.bundle.backwards else ids)


def prompt_ids(vocab: Vocab, words: Sequence[str], *, backwards: bool) -> list[int]:
    """The ids that a model reads before it goes on: the mark of a beginning stands before a backwards text, too."""
    if not backwards:
        ids: list[int] = vocab.numericalize(words).tolist()
        return ids or [vocab.bos_idx]
    inner = [word for word in words if word != BOS]
    return [vocab.bos_idx, *reversed(vocab.numericalize(inner).tolist())]


def joined(vocab: Vocab, words: Sequence[str], drawn: Sequence[int], *, backwards: bool) -> list[str]:
    """The prompt's own words, known or not, and the drawn ones, in reading order."""
    return [*vocab.decode(reversed(drawn)), *words] if backwards else [*words, *vocab.decode(drawn)]
