"""The catalog's tables, for SQLite and Postgres alike. ``ingest/migrate.py`` says what a change needs."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

OUTSTANDING = ("queued", "processing")
"""The states of a version that is still to be read; it ends as ready or failed, later as superseded, then gone."""

collections = Table(
    "collections",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created", String(32), nullable=False),
)

channels = Table(
    "channels",
    metadata,
    Column("collection_id", String(32), ForeignKey("collections.id"), primary_key=True),
    Column("key", String(64), primary_key=True),  # names the index: the channel's name, then name-2, name-3 …
    Column("name", String(32), nullable=False),
    Column("encoder", Text, nullable=False),  # what `retrieval.open_encoder` is given
    Column("active", Boolean, nullable=False),  # searched; one that will replace another is not, until it is filled
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("collection_id", String(32), ForeignKey("collections.id"), nullable=False),
    Column("filename", Text, nullable=False),
    Column("source", Text, nullable=False),  # where it came from; the same source with other bytes is a new version
    Column("metadata", JSON, nullable=False),
    Column("created", String(32), nullable=False),
    Column("current", Integer),  # the version that is searched; NULL until one is ready
    Column("deleted", Boolean, nullable=False, default=False),
    Index("documents_by_source", "collection_id", "source"),
)

versions = Table(
    "versions",
    metadata,
    Column("document_id", String(32), ForeignKey("documents.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("sha256", String(64), index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("status", String(16), nullable=False, index=True),  # queued, processing, ready, failed, superseded, gone
    Column("pages", Integer, nullable=False, default=0),
    Column("page_problems", Integer, nullable=False, default=0),
    Column("code", String(64)),
    Column("message", Text),
    Column("password", Text),
    Column("job_id", String(32), ForeignKey("jobs.id"), nullable=False, index=True),
    Column("created", String(32), nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("document_id", String(32), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("width", Float, nullable=False),
    Column("height", Float, nullable=False),
    Column("flags", String(64), nullable=False),
    Column("code", String(64)),
    Column("message", Text),
    Column("source", String(16), nullable=False),
    Column("words", LargeBinary, nullable=False),
)

fills = Table(
    "fills",
    metadata,
    Column("document_id", String(32), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("channel", String(64), primary_key=True),  # its key
    Column("done", Integer, nullable=False),  # pages 1..done are in the channel's index
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("collection_id", String(32), nullable=False),
    Column("created", String(32), nullable=False),
    Column("cancelled", Boolean, nullable=False, default=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),  # sha256 of the key, which is stored nowhere
    Column("scope", String(16), nullable=False),  # read, write, admin: each may do what those before it may
    Column("collections", JSON),  # ids of the only ones that it may see; NULL: all
    Column("created", String(32), nullable=False),
    Column("expires", String(32)),
    Column("revoked", Boolean, nullable=False, default=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(32), nullable=False),  # the key that made it; empty: made without one
    Column("collection_id", String(32), nullable=False, index=True),
    Column("title", String(200), nullable=False),
    Column("created", String(32), nullable=False),
    Column("updated", String(32), nullable=False),
)

turns = Table(
    "turns",
    metadata,
    Column("id", String(32), primary_key=True),  # of the answer
    Column("conversation_id", String(32), ForeignKey("conversations.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", JSON(none_as_null=True)),  # as it went over the wire; NULL: gone with a document
    Column("created", String(32), nullable=False),
    UniqueConstraint("conversation_id", "number", name="one_turn_a_number"),
)

answers = Table(
    "answers",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(32), nullable=False),
    Column("collection_id", String(32), nullable=False, index=True),
    Column("question", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("pages", JSON, nullable=False),  # those that the model was given: document, page, cited
    Column("created", String(32), nullable=False, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(32), nullable=False),
    Column("collection_id", String(32), nullable=False, index=True),
    Column("answer_id", String(32)),
    Column("question", Text, nullable=False),
    Column("pages", JSON, nullable=False),  # what it is about: document, page
    Column("value", String(8)),
    Column("relevance", Integer),
    Column("comment", Text),
    Column("created", String(32), nullable=False),
)

replays = Table(
    "replays",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("key", String(255), primary_key=True),  # as in the header Idempotency-Key
    Column("id", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),  # of the request
    Column("status", Integer, nullable=False),
    Column("location", Text),
    Column("body", Text),  # NULL: gone with what it told of
    Column("created", String(32), nullable=False, index=True),
)

traces = Table(
    "traces",
    metadata,
    Column("holder", String(32), primary_key=True),  # a turn, answer, feedback or replay
    Column("source", String(32), primary_key=True, index=True),  # the document or conversation with which it goes
)

identity = Table("identity", metadata, Column("id", String(32), primary_key=True))  # one row

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),  # names of those that it is told
    Column("collection_id", String(32)),  # the only one that it is told of; NULL: all
    Column("secret", String(64), nullable=False),  # as it is: what is sent is signed with it
    Column("created", String(32), nullable=False),  # it is told of what was handed in from then on
    Column("due", Float, nullable=False),  # Unix time before which nobody calls it: a lease, or a pause after a failure
    Column("failures", Integer, nullable=False),  # in a row
    Column("failing_since", String(32)),
    Column("error", Text),  # of the last failure
    Column("disabled", String(32)),  # since when
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook_id", String(32), ForeignKey("webhooks.id"), primary_key=True),
    Column("event", String(32), primary_key=True),
    Column("subject", String(64), primary_key=True),  # document.version or a job: nothing is told twice
    Column("id", String(32), nullable=False),
    Column("body", Text, nullable=False),  # empty once it is delivered
    Column("created", String(32), nullable=False),
    Column("due", Float, nullable=False),  # Unix time
    Column("attempts", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, delivered, given up
    Index("deliveries_by_state", "webhook_id", "state", "due"),
)
