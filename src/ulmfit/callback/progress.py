"""For programs that import from `fastai.callback.progress`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
