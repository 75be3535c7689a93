"""Each module here measures one thing: ``python -m benchmarks.NAME [--json]``.

With ``--json`` the last line printed is one JSON object with the figures and what they were measured on. Results with
their date stand in docs/benchmarks.md.
"""
