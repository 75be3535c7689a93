"""Exit codes.

0 ok, 1 failure, 2 usage, 3 not found, 4 some documents failed, 5 back end unavailable, 6 no access, 130 interrupted.
"""

from __future__ import annotations

OK, FAILURE, USAGE, NOT_FOUND, SOME_FAILED, UNAVAILABLE, NO_ACCESS, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130


def exit_code(error: Exception) -> int:
    """The exit code of an error of ours."""
    from folioscope import errors

    codes: dict[type[Exception], int] = {
        errors.NotFoundError: NOT_FOUND,
        errors.ConfigError: USAGE,
        errors.QueryError: USAGE,
        errors.EvaluationError: USAGE,
        errors.Unauthorized: NO_ACCESS,
        errors.Forbidden: NO_ACCESS,
        errors.TooManyRequests: UNAVAILABLE,
        errors.ServerError: UNAVAILABLE,
        errors.StorageError: UNAVAILABLE,
        errors.ChannelUnavailable: UNAVAILABLE,
        errors.ModelUnavailable: UNAVAILABLE,
        errors.ModelError: UNAVAILABLE,
    }
    return next((code for kind, code in codes.items() if isinstance(error, kind)), FAILURE)
