"""Pretraining a language model on a large corpus: files in, model folder out, interrupted as often as need be.

Beside the model folder OUT stands the folder OUT.training with the checkpoints. The learning rate warms up, stays, and
falls in the last part of the run; the checkpoint from before the fall is kept, so that a finished run can be extended:
`resume` with more epochs goes on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ulmfit.data.corpus import PIECE, Corpus, in_both
from ulmfit.data.loaders import LMDataLoader
from ulmfit.data.portions import Portions
from ulmfit.errors import ConfigError, DataError, counted, named
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, save_bundle
from ulmfit.inference.folder import check_target
from ulmfit.models.config import EncoderConfig, size_config
from ulmfit.models.encoder import n_parameters
from ulmfit.models.language_model import LanguageModel
from ulmfit.pretrained.weights import differences
from ulmfit.text.cache import default_cache_dir
from ulmfit.text.store import TokenStore
from ulmfit.text.tokenizers import AUTO, Tokenizer
from ulmfit.training.bases import load_base, own_tokenizer
from ulmfit.training.cards import pretrained_card
from ulmfit.training.checkpoint import SaveCheckpoint, load_checkpoint, read_about
from ulmfit.training.extending import FALL, BeforeFall, check_corpus, check_length, checkpoint_to_resume, gave
from ulmfit.training.learner import DataLoaders, Learner
from ulmfit.training.lm_callbacks import FreshStarts
from ulmfit.training.manifest import fingerprint_ids, fingerprint_texts, run_manifest
from ulmfit.training.pretrain_job import FEWEST_WORDS, OF_A_BASE, PretrainJob
from ulmfit.training.progress import ProgressTable, StatusLine, in_millions, say
from ulmfit.training.schedules import trapezoid
from ulmfit.training.validation import seconds_per_token

_WARM_UP = 0.02  # share of the run in which the learning rate rises
_EVALUATED_EVERY = 8_000_000  # tokens between two measurements on the held-out part
_TIMED = 5_000  # tokens whose measurement is timed
_FEW_TOKENS = 10_000  # held out: of fewer the standard error of a perplexity is above 2%
_MIN_TOKENS_PER_WORD = 10  # of the corpus, for each entry of the vocabulary


@dataclass(frozen=True, kw_only=True)
class _Corpora:
    """The corpus as token ids."""

    tokenizer: Tokenizer
    train: TokenStore
    valid: TokenStore

    def facts(self) -> dict[str, Any]:
        """What tells these texts from others, as JSON."""
        parts = {"texts": self.train, "held-out texts": self.valid}
        facts: dict[str, Any] = {name: [len(store), fingerprint_ids(store)] for name, store in parts.items()}
        return facts | {"words": [len(self.train.vocab), fingerprint_texts(self.train.vocab.itos)]}


def pretrain(job: PretrainJob, console: Console | None = None) -> dict[str, Any]:
    """Train a language model, measure it on held-out texts, and write its model folder.

    Args:
        job: what to do.
        console: where to print; by default nothing is printed.

    Returns:
        what metrics.json holds.

    Raises:
        UlmfitError: bad data or settings, or a checkpoint of another run.
    """
    console = console or Console(quiet=True)
    last = job.training_folder / "last.safetensors"
    stable = job.training_folder / "before-fall.safetensors"
    about: dict[str, Any] = {"settings": job.settings(), "length": [job.epochs, job.time_budget]}
    start = checkpoint_to_resume(job, last, stable, about, console)
    overwrite = job.overwrite or (start is not None and gave(job))
    check_target(job.out, overwrite=overwrite)
    base = _base(job)
    corpora = _tokenize(job, base, console)
    about["corpus"] = corpora.facts()
    if start is not None:
        check_corpus(start, about["corpus"])
    learn = _learner(job, base, corpora)
    if start is None:
        stable.unlink(missing_ok=True)  # of a run that is given up
    say(
        console,
        f"Language model: {n_parameters(learn.model):,} parameters, {len(corpora.train.vocab):,} entries, "
        f"{learn.precision} on {learn.device.type}",
    )
    measuring = None if start is None else read_about(start).get("measuring")
    if job.time_budget is not None and measuring is None:
        measuring = _seconds_of_measuring(job, learn, corpora.valid)
    about["measuring"] = measuring
    seconds = _seconds_to_train(job, measuring, console)
    if start is not None:
        check_length(job, learn, start, seconds)
        load_checkpoint(learn, start)
        say(console, f"Resumed from {start} after {in_millions(learn.n_targets)} tokens")
    keeper = SaveCheckpoint(last, seconds=job.checkpoint_every, about=about)
    keeper.save(learn)  # a place that cannot be written shows now, not after an interval
    portions: Any = learn.dls.train
    with keeper.signals():
        learn.fit(
            job.epochs * portions.n,
            job.lr,
            schedule=trapezoid(warm_up=_WARM_UP, fall=FALL, mom=learn.moms[1]),
            seconds=seconds,
            cbs=[
                ProgressTable(console, bar=console.is_terminal or console.is_jupyter),
                StatusLine(console),
                FreshStarts(),
                BeforeFall(stable, about),
                keeper,
            ],
            resume=start is not None,
        )
        bundle = _bundle(job, base, corpora, learn)
        save_bundle(bundle, job.out, overwrite=overwrite)  # first: it is there if the disk has no room for both
        keeper.save(learn)
    say(
        console,
        f"Perplexity {bundle.metrics['perplexity']:.2f} on {corpora.valid.n_tokens:,} held-out tokens. Model saved in "
        f"{job.out}; {job.training_folder} is needed only to train it further (--resume with more epochs)",
    )
    return dict(bundle.metrics)


def _base(job: PretrainJob) -> Bundle | None:
    """The model to start from.

    Raises:
        ConfigError: what is given of its tokens and sizes is not so.
    """
    base = load_base(job.base)
    if base is None:
        return None
    tok = base.tokenizer.tok
    there = {"arch": base.config.arch, "vocab_size": len(base.vocab), "tokenizer": tok.kind, **tok.config()}
    given = {name: getattr(job, name) for name in OF_A_BASE if getattr(job, name) is not None}
    wrong = [
        f"{name}={value!r}, and it has {there[name]!r}"
        for name, value in given.items()
        if name in there and value not in (there[name], AUTO)
    ]
    if "min_freq" in given:
        wrong.append("min_freq: its vocabulary is made")
    if "size" in given and (sizes := differences(size_config(given["size"], base.config.arch), base.config)):
        wrong.append(f"size={given['size']!r}: {'; '.join(sizes)}")
    if wrong:
        raise ConfigError(f"base {job.base!r} brings tokens and sizes of its own. Given is {'; '.join(wrong)}")
    return base


def _config(job: PretrainJob, base: Bundle | None) -> EncoderConfig:
    """Of the encoder, with the dropouts of its size."""
    return job.config if base is None else base.config


def _tokenize(job: PretrainJob, base: Bundle | None, console: Console) -> _Corpora:
    """The corpus as stores in the user's cache, where they are found again when the run is resumed."""
    started = time.perf_counter()
    held_out = 0.0 if job.valid else job.held_out
    corpus = Corpus(paths=job.data, text=job.text, encoding=job.encoding, held_out=held_out, seed=job.seed)
    checked = Corpus(
        paths=job.valid or job.data,
        text=job.text,
        encoding=job.encoding,
        held_out=held_out,
        part="train" if job.valid else "held_out",
        seed=job.seed,
    )
    if job.valid and (both := sorted(in_both(corpus, checked))):
        raise DataError(f"files are both learned from and measured on: {named(both)}")
    for part, of in (("to learn from", corpus), *([("to measure on", checked)] if job.valid else [])):
        if ignored := of.ignored():
            say(console, f"Files {part}: without {len(ignored):,} of another kind: {named(ignored, 3)}")
        if (column := of.column()) and job.text is None:
            say(console, f"Texts {part}: column {column!r} of the tables")
    own = job.own()
    tokenizer = (
        base.tokenizer if base else own_tokenizer(own["tokenizer"], own["lang"], corpus, console, own["vocab_size"])
    )
    # A subword model brings its own vocabulary, which must stay whole.
    min_freq = 1 if tokenizer.tok.kind == "subword" else own["min_freq"]
    train = TokenStore.build(
        corpus,
        tokenizer,
        vocab=base.vocab if base else None,
        min_freq=min_freq,
        max_vocab=own["vocab_size"],
        workers=job.workers,
        cache_dir=default_cache_dir(),
    )
    valid = TokenStore.build(checked, tokenizer, vocab=train.vocab, cache_dir=default_cache_dir())
    for part, of in (("to learn from", corpus), *([("to measure on", checked)] if job.valid else [])):
        if of.n_empty:
            say(console, f"Texts {part}: without {of.n_empty:,} that are missing or empty")
        if of.n_cut:
            say(console, f"Files {part}: {of.n_cut:,} of more than {PIECE:,} characters are cut into several texts")
    if base is None and len(train.vocab) < own["vocab_size"]:
        more = f"the corpus gives no more, of at most {own['vocab_size']:,}"
        say(console, f"The vocabulary has {len(train.vocab):,} entries: {more}")
    if not train.n_tokens:
        raise DataError(f"there is no text to learn from in {named(job.data, 3)}: all are missing, empty or held out")
    needed = _MIN_TOKENS_PER_WORD * len(train.vocab)
    if train.n_tokens < needed:
        fewer = train.n_tokens // _MIN_TOKENS_PER_WORD
        raise DataError(
            f"the corpus has {train.n_tokens:,} tokens: too few for a vocabulary of {len(train.vocab):,} entries "
            f"(at least {needed:,}); add texts{', or lower --vocab-size' if fewer >= FEWEST_WORDS else ''}"
        )
    if valid.n_tokens <= job.bs:
        raise DataError(
            f"only {counted(len(valid), 'text')} ({counted(valid.n_tokens, 'token')}) to measure on, and "
            f"{counted(len(train), 'text')} to learn from: {'raise --held-out, or ' if len(train) > 1 else ''}give "
            "--valid"
        )
    say(
        console,
        f"{counted(len(train), 'text')}, {train.n_tokens:,} tokens; held out: {counted(len(valid), 'text')}, "
        f"{valid.n_tokens:,} tokens "
        f"({float((valid.ids[:] == train.vocab.unk_idx).mean()):.1%} of them not in the vocabulary); "
        f"{time.perf_counter() - started:.0f} s",
    )
    if valid.n_tokens < _FEW_TOKENS:
        say(console, f"Only {valid.n_tokens:,} tokens to measure on: the perplexity will be rough")
    return _Corpora(tokenizer=tokenizer, train=train, valid=valid)


def _learner(job: PretrainJob, base: Bundle | None, corpora: _Corpora) -> Learner:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(job.seed)
        model = LanguageModel(len(corpora.train.vocab), _config(job, base).scaled(job.drop_mult))
    if base is not None:
        model.load_state_dict(base.weights)
    # What the base has learned from may be these same texts: another order than its own brings others first.
    seed = job.seed + (0 if base is None else _lineage(job.base, base)["tokens_seen"])
    train = LMDataLoader(corpora.train, bs=job.bs, seq_len=job.bptt, shuffle=True, backwards=job.backwards, seed=seed)
    portions = max(1, min(len(train), round(corpora.train.n_tokens / _EVALUATED_EVERY)))
    valid = LMDataLoader(corpora.valid, bs=job.bs, seq_len=job.bptt, backwards=job.backwards)
    return Learner(
        DataLoaders(Portions(train, portions), valid),
        model,
        metrics=["perplexity", "accuracy"],
        alpha=job.alpha,
        beta=job.beta,
        clip=1.0,
        precision=job.precision,
        seed=job.seed,
    )


def _seconds_of_measuring(job: PretrainJob, learn: Learner, valid: TokenStore) -> float:
    """What a measurement on the held-out part takes."""
    n = min(valid.n_tokens, max(_TIMED, job.bs + 1))
    some = TokenStore(valid.ids[:n], np.array([0, n]), valid.vocab)
    loader = LMDataLoader(some, bs=job.bs, seq_len=job.bptt, backwards=job.backwards)
    seconds_per_token(learn, loader)  # the first pass takes longer
    return seconds_per_token(learn, loader) * valid.n_tokens


def _seconds_to_train(job: PretrainJob, measuring: float | None, console: Console) -> float | None:
    """The time budget without what the measurement at its end takes; at least half of it."""
    if job.time_budget is None or measuring is None:
        return None
    if measuring > job.time_budget / 2:
        say(
            console,
            f"The measurement on what is held out takes about {measuring:,.0f} s, more than half of the time budget, "
            "so that the run will be longer; --held-out or --valid can give fewer",
        )
    return max(job.time_budget / 2, job.time_budget - measuring)


def _bundle(job: PretrainJob, base: Bundle | None, corpora: _Corpora, learn: Learner) -> Bundle:
    bundle = Bundle(
        kind=LANGUAGE_MODEL,
        config=_config(job, base),
        weights=learn.model.state_dict(),
        tokenizer=corpora.tokenizer,
        vocab=corpora.train.vocab,
        backwards=job.backwards,
        bptt=job.bptt,
        metrics=_metrics(job, base, corpora, learn),
        history=tuple({"stage": "pretraining", **row} for row in learn.history),
        compact=job.compact,
    )
    return replace(bundle, card=pretrained_card(bundle))


def _metrics(job: PretrainJob, base: Bundle | None, corpora: _Corpora, learn: Learner) -> dict[str, Any]:
    row = learn.history[-1]
    return {
        "perplexity": row["perplexity"],
        "accuracy": row["accuracy"],
        "held_out_tokens": corpora.valid.n_tokens,
        "unknown": float((corpora.valid.ids[:] == corpora.valid.vocab.unk_idx).mean()),
        "tokens": corpora.train.n_tokens,
        "tokens_seen": learn.n_targets,
        "base": None if base is None else _lineage(job.base, base),
        "seconds": round(learn.seconds, 1),
        "licence": job.licence,
        **run_manifest(
            job.settings_by_name() | {"epochs": job.epochs, "time_budget": job.time_budget},
            train=fingerprint_ids(corpora.train),
            valid=fingerprint_ids(corpora.valid),
        ),
    }


def _lineage(name: str, base: Bundle) -> dict[str, Any]:
    """What the base had seen."""
    before = base.metrics.get("base") or {}
    seen = [m["tokens_seen"] for m in (base.metrics, before) if "tokens_seen" in m]
    return {"name": Path(name).name, "backwards": base.backwards, "tokens_seen": sum(seen)}
