"""For programs that import from `fastai.data.transforms`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
