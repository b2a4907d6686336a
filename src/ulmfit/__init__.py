"""Transfer learning for text: pretrain, fine-tune, classify, predict."""

from ulmfit._version import __version__

__all__ = ["__version__"]
