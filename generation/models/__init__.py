"""Answering models."""
