"""Pretrained language models by name: those that come with the package, and those in a folder of the user's.

The bundled models lie in the package, in the format of every model folder, compressed to int8 rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ulmfit.errors import ConfigError, FormatError
from ulmfit.inference.bundle import LANGUAGE_MODEL, Bundle, load_bundle
from ulmfit.inference.folder import is_model_folder
from ulmfit.models.config import DECODER_FIELDS, EncoderConfig
from ulmfit.pretrained.transfer import coverage

BUNDLED = Path(__file__).parent / "bundled"
ENOUGH = 0.75  # of the running words: English texts of any domain reach 0.9, those in a related language hardly 0.5
_AS_MANY = 0.02  # of the running words: models that know about as many
_SAMPLE = 500


def names() -> list[str]:
    """The bundled language models, sorted."""
    return sorted(p.name for p in BUNDLED.iterdir() if is_model_folder(p)) if BUNDLED.is_dir() else []


def load(name: str) -> Bundle:
    """A bundled language model.

    Args:
        name: one of `names()`.

    Raises:
        ConfigError: there is no such model; the message lists those that are there.
        FormatError: its files are damaged (each is compared with its sha256).
    """
    if name not in names():
        raise ConfigError(f"there is no pretrained model {name!r}; bundled: {', '.join(names()) or 'none'}")
    try:
        return load_bundle(BUNDLED / name, kind=LANGUAGE_MODEL)
    except FormatError as error:
        raise FormatError(f"{error}. Install the package anew, or start from something else: --base none") from error


def load_named(name: Path | str) -> Bundle:
    """A bundled language model by its name, or that of a model folder.

    Raises:
        FormatError: no such folder, or it holds no language model, or is damaged.
    """
    return load(str(name)) if str(name) in names() else load_bundle(Path(name), kind=LANGUAGE_MODEL)


def choose(texts: Sequence[str], *, backwards: bool = False) -> tuple[Bundle | None, float]:
    """The best bundled language model that knows about as many words of some texts as any, if that is enough of them.

    Args:
        texts: the texts it is for; a sample of them is looked at.
        backwards: one that reads texts from their end.

    Returns:
        the model, or None if none knows `ENOUGH` of the words; and the share that it knows, or the largest one.
    """
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    known: list[tuple[float, Bundle]] = []
    for bundle in map(load, names()):
        if bundle.backwards == backwards:
            counts = Counter(token for text in sample for token in bundle.tokenizer(text))
            known.append((coverage(counts, bundle.vocab), bundle))
    most = max((share for share, _ in known), default=0.0)
    if most < ENOUGH:
        return None, most
    share, best = min(((s, b) for s, b in known if s >= most - _AS_MANY), key=lambda found: _perplexity(found[1]))
    return best, share


def _perplexity(bundle: Bundle) -> float:
    return float(bundle.metrics["perplexity"])


def find(
    arch: str = "awd_lstm", *, backwards: bool = False, config: EncoderConfig | None = None, decoder: bool = True
) -> Bundle:
    """The best bundled language model for an architecture: the one with the lowest perplexity.

    Args:
        arch: "awd_lstm" or "awd_qrnn".
        backwards: one that reads texts from their end.
        config: sizes that it must have, if they are given; dropouts do not matter.
        decoder: what the configuration says of the decoder must be so, too; a classifier has none.

    Raises:
        ConfigError: there is none of that architecture and direction, or its sizes differ from `config`.
    """
    bundles = sorted(_of(arch, backwards), key=_perplexity)
    kind = f"{'backward' if backwards else 'forward'} {arch}"
    if not bundles:
        raise ConfigError(
            f"no pretrained weights for a {kind} are bundled ({', '.join(names()) or 'there are none'}); "
            "say pretrained=False to start from random weights, or load a folder's"
        )
    if config is None:
        return bundles[0]
    problems = []
    for bundle in bundles:
        found = differences(config, bundle.config, decoder=decoder)
        if not found:
            return bundle
        problems.append("; ".join(found))
    raise ConfigError(
        f"the configuration does not fit the pretrained {kind}: {' / '.join(problems)}. Leave it out to take that of "
        "the weights, or say pretrained=False"
    )


def _of(arch: str, backwards: bool) -> Iterator[Bundle]:
    for name in names():
        bundle = load(name)
        if bundle.config.arch == arch and bundle.backwards == backwards:
            yield bundle


def differences(asked: EncoderConfig, stored: EncoderConfig, *, decoder: bool = True) -> list[str]:
    """Fields that decide about the shapes of the weights, of the decoder too or not, and have different values."""
    other = ("pad_token",) if decoder else ("pad_token", *DECODER_FIELDS)
    plain = (asked.with_dropouts_of(stored).to_dict(), stored.to_dict())
    return [
        f"{name} is {plain[0][name]!r}, the weights have {plain[1][name]!r}"
        for name in plain[0]
        if name not in other and plain[0][name] != plain[1][name]
    ]
