"""Folioscope: answers questions about documents by looking at their pages.

This package is the vocabulary of the house: values, seams, errors, settings. It does no I/O and imports nothing heavy.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
