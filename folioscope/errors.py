"""Every error that Folioscope raises on purpose.

    FolioscopeError
      ConfigError            config_invalid          a setting, flag or variable has an unusable value
      NotFoundError          not_found               what was named does not exist
        CollectionNotFound   collection_not_found
        DocumentNotFound     document_not_found
      StorageError           storage_failed          the data folder or a back end can't be used
        DataFolderBusy       data_folder_busy        another process has it open
        DiskFull             disk_full
      FingerprintMismatch    collection_recipe_mismatch   an index was made with another encoder
      ChannelUnavailable     channel_unavailable     an encoder's weights or extra are not installed
      ModelUnavailable       model_unavailable       an answering model is unknown, not installed or not configured
      ModelError             upstream_model_error    a model's server failed or answered with nonsense
        ModelAuth            model_auth              it does not accept the key
        ModelBusy            model_busy              too many requests, or it is overloaded; ``retry_after`` seconds
        ModelTimeout         model_timeout           it did not answer within the limit
        PromptTooLong        prompt_too_long         more pages or words than it takes
        ReplyCut             reply_cut               its reply was longer than it may be, and ended in its middle
      QueryError             query_invalid           an empty question, an unknown channel
      AccessError            access_denied           who asks over HTTP may not have it
        Unauthorized         unauthorized            no key, or one that is unknown, expired or revoked
        Forbidden            forbidden               the key's scope does not reach so far
        TooManyRequests      rate_limited            more requests at a time than one key may have
      CollectionExists       collection_exists       one of that name is there
      ChannelRefused         channel_refused         a channel can't be added, switched, filled or removed so
      DocumentError          document_failed         one document can't be taken in; the others can
        UnsupportedType      unsupported_media_type
        Unreadable           document_unreadable     the operating system does not give its bytes
        Unfetchable          url_unfetchable         a URL may not be asked, or its server did not give the file
        EmptyFile            document_empty
        Encrypted            document_encrypted      a password is needed, or the given one is wrong
        Corrupt              document_corrupt
        NoPages              document_no_pages
        TooManyPages         too_many_pages
        TooLarge             payload_too_large       bytes or pixels beyond the limit
        ParserTimeout        parser_timeout
        ParserCrashed        parser_crashed          the child process died or ran out of its limits
        OcrFailed            ocr_failed

Two codes stand in the catalog without an exception: ``cancelled``, the job was given up before the document was read,
and ``internal_error``, a fault of Folioscope's own.

Each says what happened, with which value, and, in ``hint``, what to do next. ``code`` is stable: it stands in JSON
output, in the catalog and, later, in HTTP problems.
"""

from __future__ import annotations


class FolioscopeError(Exception):
    """Root of the tree. ``message``: what happened, with which value. ``hint``: what to do next."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(FolioscopeError):
    """A setting, flag or variable has an unusable value."""

    code = "config_invalid"


class NotFoundError(FolioscopeError):
    """What was named does not exist."""

    code = "not_found"


class CollectionNotFound(NotFoundError):
    """No collection of that name."""

    code = "collection_not_found"


class DocumentNotFound(NotFoundError):
    """No document of that id or name."""

    code = "document_not_found"


class StorageError(FolioscopeError):
    """The data folder or a back end can't be used."""

    code = "storage_failed"


class DataFolderBusy(StorageError):
    """Another process has the data folder open. ``url``, ``secret``: of that process where it is a server."""

    code = "data_folder_busy"

    def __init__(self, message: str, *, hint: str = "", url: str = "", secret: str = "") -> None:
        super().__init__(message, hint=hint)
        self.url = url
        self.secret = secret


class DiskFull(StorageError):
    """No space left where the data folder lies."""

    code = "disk_full"


class FingerprintMismatch(FolioscopeError):
    """An index was made with another encoder, revision or setting."""

    code = "collection_recipe_mismatch"


class ChannelUnavailable(FolioscopeError):
    """A channel's weights or extra are not installed."""

    code = "channel_unavailable"


class ModelUnavailable(FolioscopeError):
    """An answering model is unknown, not installed or not configured."""

    code = "model_unavailable"


class VisionModelNeeded(ModelUnavailable):
    """The configured model reads words alone, and this needs one that sees pages."""

    code = "vision_model_needed"


class ExtraMissing(ModelUnavailable):
    """A package that comes with an extra is not installed."""

    code = "extra_missing"


class ModelError(FolioscopeError):
    """A model's server failed or answered with nonsense."""

    code = "upstream_model_error"


class ModelAuth(ModelError):
    """The model's server does not accept the key, or the key may not use the model."""

    code = "model_auth"


class ModelBusy(ModelError):
    """Too many requests, or the server is overloaded. ``retry_after``: seconds, where the server says so."""

    code = "model_busy"

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ModelGone(ModelError):
    """The model's server can't be reached, or left in the middle of its reply."""

    code = "model_unreachable"


class ModelTimeout(ModelError):
    """The model did not begin, or go on with, its reply within the limit."""

    code = "model_timeout"


class PromptTooLong(ModelError):
    """More pages or words than the model takes."""

    code = "prompt_too_long"


class ReplyCut(ModelError):
    """The model's reply ended in its middle, at the most tokens it may have, where only a whole one is of use."""

    code = "reply_cut"


class QueryError(FolioscopeError):
    """A question or search that can't be run as asked."""

    code = "query_invalid"


class EvaluationError(FolioscopeError):
    """A dataset or a run that can't be measured with, or runs that can't be compared."""

    code = "evaluation_invalid"


class AccessError(FolioscopeError):
    """Who asks over HTTP may not have what is asked for."""

    code = "access_denied"


class Unauthorized(AccessError):
    """No key, or one that is unknown, expired or revoked."""

    code = "unauthorized"


class Forbidden(AccessError):
    """The key is good and its scope does not reach so far."""

    code = "forbidden"


class TooManyRequests(AccessError):
    """One key has as many requests running as it may. ``retry_after``: seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, hint: str = "", retry_after: int = 1) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ServerError(FolioscopeError):
    """A Folioscope server failed, or what answered in its place is none."""

    code = "internal_error"


class ServerUnreachable(ServerError):
    """No answer came from a Folioscope server, or it broke off."""

    code = "server_unreachable"


class ReplayError(FolioscopeError):
    """A request can't be carried out under its Idempotency-Key."""

    code = "idempotency_key_failed"


class KeyReused(ReplayError):
    """Another request was sent with this Idempotency-Key before."""

    code = "idempotency_key_reused"


class StillRunning(ReplayError):
    """A request with this Idempotency-Key is being carried out."""

    code = "idempotency_in_flight"


class Changed(FolioscopeError):
    """What was to be changed is no longer as it was when it was looked at."""

    code = "precondition_failed"


class CollectionExists(FolioscopeError):
    """A collection of that name is there already."""

    code = "collection_exists"


class ChannelRefused(FolioscopeError):
    """A collection's channels can't be changed in this way; said to who asked over HTTP."""

    code = "channel_refused"


class DocumentError(FolioscopeError):
    """One document or page can't be taken in; the others can."""

    code = "document_failed"


class UnsupportedType(DocumentError):
    """Not a PDF or an image that is understood, whatever its name says."""

    code = "unsupported_media_type"


class Unreadable(DocumentError):
    """The operating system does not give the file's bytes."""

    code = "document_unreadable"


class Unfetchable(DocumentError):
    """A URL may not be asked, or its server did not give what it names."""

    code = "url_unfetchable"


class EmptyFile(DocumentError):
    """A file of 0 bytes."""

    code = "document_empty"


class Encrypted(DocumentError):
    """A password is needed, or the given one is wrong."""

    code = "document_encrypted"


class Corrupt(DocumentError):
    """The file's structure is broken beyond repair."""

    code = "document_corrupt"


class NoPages(DocumentError):
    """The file opens and has no page."""

    code = "document_no_pages"


class TooManyPages(DocumentError):
    """More pages than the limit."""

    code = "too_many_pages"


class TooLarge(DocumentError):
    """More bytes or pixels than the limit."""

    code = "payload_too_large"


class ParserTimeout(DocumentError):
    """A page or a document took longer than its limit."""

    code = "parser_timeout"


class ParserCrashed(DocumentError):
    """The child process that read the document died or ran into its limits."""

    code = "parser_crashed"


class OcrFailed(DocumentError):
    """The OCR engine gave up on a page."""

    code = "ocr_failed"
