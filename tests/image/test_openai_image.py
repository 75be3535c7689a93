"""A question with an image, asked by OpenAI's own client: pages that look like it are found."""

import base64

import pytest

from folioscope.settings import load_settings
from ingest import Library
from tests.support.serving import serving

pytest.importorskip("transformers", reason="needs the extra folioscope[vision]")
openai = pytest.importorskip("openai", reason="needs the extra: pip install 'folioscope[openai]'")


def test_pages_that_look_like_an_image_are_read(photos, transformers_folder, tmp_path) -> None:
    picture = base64.b64encode((photos / "red-circle.png").read_bytes()).decode()
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
    ]
    asked = {"model": "docs", "messages": [{"role": "user", "content": parts}]}
    settings = {"data_dir": tmp_path / "data", "channels": "lexical", "model": "extractive", "ocr": "off", "top_k": 2}
    with Library(settings=load_settings(settings)) as library:
        library.ingest([photos])
        with (
            serving(library) as served,
            openai.OpenAI(base_url=f"{served.base_url}/v1", api_key="none", max_retries=0) as client,
        ):
            with pytest.raises(openai.UnprocessableEntityError, match="None of these channels can be asked"):
                client.chat.completions.create(**asked)
            library.add_channel(None, "image", f"clip:{transformers_folder}")
            library.backfill()
            found = client.chat.completions.create(**asked).model_extra["folioscope"]
            names = [page["document"]["filename"] for page in found["pages_used"]]
            assert names == ["red-circle.png", "again.jpg"]
            follow_up = [*asked["messages"], {"role": "assistant", "content": "A circle."}]
            later = [*follow_up, {"role": "user", "content": "Which colour?"}]
            client.chat.completions.create(model="docs", messages=later)  # the image of an earlier turn is passed over
            parts.pop(0)
            with pytest.raises(openai.UnprocessableEntityError, match="The question is empty"):
                client.chat.completions.create(**asked)
