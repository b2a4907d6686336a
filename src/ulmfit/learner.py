"""For programs that import from `fastai.learner`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
