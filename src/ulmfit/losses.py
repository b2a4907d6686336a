"""For programs that import from `fastai.losses`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
