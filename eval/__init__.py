"""Evaluation of retrieval, citations and answers on anyone's corpus. Nothing is here yet."""
