"""For programs that import from `fastai.text.data`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
