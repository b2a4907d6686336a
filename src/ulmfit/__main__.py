"""`python -m ulmfit`."""

from ulmfit.cli import main

main()
