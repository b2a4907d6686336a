"""Leaves: what joins the package to others."""
