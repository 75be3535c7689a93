"""Exit codes.

0 ok, 1 failure, 2 usage, 3 not found, 4 some documents failed, 5 back end unavailable, 130 interrupted.
"""

from __future__ import annotations

OK, FAILURE, USAGE, NOT_FOUND, SOME_FAILED, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


def exit_code(error: Exception) -> int:
    """The exit code of an error of ours."""
    from folioscope import errors

    if isinstance(error, errors.NotFoundError):
        return NOT_FOUND
    if isinstance(error, errors.ConfigError | errors.QueryError):
        return USAGE
    if isinstance(error, errors.StorageError | errors.ChannelUnavailable | errors.ModelUnavailable | errors.ModelError):
        return UNAVAILABLE
    return FAILURE
