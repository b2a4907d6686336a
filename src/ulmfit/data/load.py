"""For programs that import from `fastai.data.load`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
