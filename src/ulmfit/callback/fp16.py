"""For programs that import from `fastai.callback.fp16`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
