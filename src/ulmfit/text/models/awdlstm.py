"""For programs that import from `fastai.text.models.awdlstm`: every name of `ulmfit.text.all`."""

from ulmfit.text.all import *
