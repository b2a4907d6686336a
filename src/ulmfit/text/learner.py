"""For programs that import from `fastai.text.learner`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
