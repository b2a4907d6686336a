"""For programs that import from `fastai.optimizer`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
