"""Taking over language models that were trained before."""
