"""The tests' server refuses whatever blocks its loop."""

from __future__ import annotations

import time

from blockbuster import BlockingError

from ingest import Library
from tests.support.serving import serving


def test_a_route_that_blocks_the_loop_is_an_error(tmp_path) -> None:
    caught: list[Exception] = []

    async def sleepy() -> None:
        try:
            time.sleep(0.001)
        except BlockingError as error:
            caught.append(error)

    with Library(tmp_path) as library, serving(library) as client:
        client.app.get("/sleepy")(sleepy)
        assert client.get("/sleepy").status_code == 200
    assert len(caught) == 1
