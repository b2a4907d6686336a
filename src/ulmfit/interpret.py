"""For programs that import from `fastai.interpret`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
