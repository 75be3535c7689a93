"""The semantic channel on torch: tiny sentence-transformers folders built here and loaded by the normal call."""

import json
import shutil
import sys
import threading

import numpy as np
import pytest

from folioscope.domain import PageInput, PageKey, Words
from folioscope.errors import ChannelUnavailable, ConfigError
from folioscope.ports import Encoder, TextEncoder
from retrieval import Channel, MemoryIndex, open_encoder
from retrieval.encoders.semantic import SemanticEncoder
from retrieval.encoders.sentence_transformer import SentenceTransformerModel
from retrieval.encoders.torch_device import import_torch

pytest.importorskip("torch")
import_torch()
pytest.importorskip("sentence_transformers")

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "query", ":", "whale", "sea", "bread", "oven", "revenue", "##s"]


def make(folder, pooling="mean", prompts=None):
    """A BERT of two layers whose sentence vector is made by modules of its own: pooling, then normalisation."""
    torch = import_torch()
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as models
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordPiece
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    tokenizer = Tokenizer(WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **special).save_pretrained(folder / "bert")
    size = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64, **size)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder / "bert")
    word = models.Transformer(str(folder / "bert"))
    parts = [word, models.Pooling(16, pooling_mode=pooling), models.Dense(16, 12), models.Normalize()]
    SentenceTransformer(modules=parts, prompts=prompts, device="cpu").save(str(folder / "tiny"))
    shutil.rmtree(folder / "bert")
    return folder / "tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("st"))


@pytest.fixture(scope="module")
def encoder(folder):
    made = open_encoder(f"semantic:{folder}")
    assert isinstance(made, SemanticEncoder)
    assert isinstance(made.model, SentenceTransformerModel)
    return made


def page(text, number=1):
    words = text.split()
    none = np.zeros(len(words), np.int32)
    return PageInput(
        PageKey("doc_a", 1, number), "a.pdf", Words(words, np.zeros((len(words), 4), np.float32), none, none, "ocr")
    )


def test_is_both_encoders(encoder):
    as_encoder: Encoder = encoder
    as_text_encoder: TextEncoder = encoder
    assert as_encoder.fingerprint.dim == 12
    assert as_encoder.fingerprint.kind == "multi"
    assert as_text_encoder.encode_texts([]).shape == (0, 12)


def test_vectors_are_what_the_library_gives(encoder, folder):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(folder), device="cpu").encode(["whale sea", "bread oven oven revenue"])
    ours = encoder.encode_texts(["whale sea", "bread oven oven revenue"])
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def test_the_same_text_has_the_same_vector_whatever_the_batch(encoder):
    texts = ["whale", "bread oven " * 20, "revenue sea", *["sea whale"] * 20]
    together = encoder.encode_texts(texts)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.encode_texts([text])[0], row, atol=2e-6)


def test_chunks_are_counted_in_the_models_own_tokens(folder):
    encoder = SemanticEncoder(str(folder), length=20)
    words = page("whales " * 30).words  # two tokens each
    assert encoder.chunks(words) == [(0, 10), (10, 20), (20, 30)]
    (vectors,) = encoder.encode_pages([page("whales " * 30)])
    assert vectors.shape == (3, 12)
    assert encoder.encode_pages([page("")]) == [None]
    assert encoder.encode_pages([]) == []


def test_pages_are_found(encoder):
    channel = Channel("semantic", encoder, MemoryIndex(encoder.fingerprint))
    texts = ["whale sea sea whale", "bread oven bread", "revenue revenue"]
    channel.add([page(text, number) for number, text in enumerate(texts, 1)])
    for number, text in enumerate(texts, 1):
        assert channel.search(text, 1)[0].key.number == number
    assert channel.search(" ", 1) == []


def test_the_models_prompts_go_before_queries_alone(tmp_path):
    encoder = SemanticEncoder(str(make(tmp_path, prompts={"query": "query: ", "document": ""})))
    document, prompted = encoder.encode_texts(["whale sea", "query: whale sea"])
    (query,) = encoder.encode_query("whale sea")
    np.testing.assert_allclose(query, prompted, atol=1e-6)
    assert abs(float(query @ document)) < 0.999


def test_pooling_is_the_models_own(tmp_path, encoder):
    other = SemanticEncoder(str(make(tmp_path, pooling="cls")))
    text = "whale sea bread"
    assert not np.allclose(other.encode_texts([text]), encoder.encode_texts([text]), atol=1e-3)
    assert other.model.revision != encoder.model.revision


def test_the_revision_follows_the_weights(folder, tmp_path, encoder):
    shutil.copytree(folder, tmp_path / "copy")
    assert SentenceTransformerModel(str(tmp_path / "copy")).revision == encoder.model.revision
    with (tmp_path / "copy" / "model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"\0\1\2\3")
    assert SentenceTransformerModel(str(tmp_path / "copy")).revision != encoder.model.revision


def test_static_embeddings(tmp_path):
    """A model without a transformer: one vector a token, and their mean."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordPiece

    tokenizer = Tokenizer(WordPiece({word: n for n, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).standard_normal((len(VOCABULARY), 6)).astype(np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(
        str(tmp_path)
    )
    encoder = SemanticEncoder(str(tmp_path), length=20)
    assert encoder.chunks(page("whales " * 30).words) == [(0, 10), (10, 20), (20, 30)]
    mean = weights[6] + weights[7]
    np.testing.assert_allclose(encoder.encode_texts(["whale sea"])[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_code_in_a_folder_is_not_run_unless_asked_for(folder, tmp_path, encoder):
    copy, ran = shutil.copytree(folder, tmp_path / "coded"), tmp_path / "ran"
    (copy / "own.py").write_text(
        "from pathlib import Path\nfrom sentence_transformers.sentence_transformer.modules import Normalize\n"
        f"Path({str(ran)!r}).touch()\nclass Own(Normalize): pass\n"
    )
    modules = json.loads((copy / "modules.json").read_text())
    modules[-1]["type"] = "own.Own"
    (copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ConfigError, match=r"coded comes with Python code \(own\.py\)"):
        open_encoder(f"semantic:{copy}")
    (copy / "own.py").rename(tmp_path / "own.py")  # as where only the small files were fetched
    with pytest.raises(ConfigError, match=r"\(own\.Own\)"):
        open_encoder(f"semantic:{copy}")
    assert not ran.exists()
    (tmp_path / "own.py").rename(copy / "own.py")
    trusted = open_encoder(f"semantic:{copy}", trust_remote_code=True)
    np.testing.assert_allclose(trusted.encode_texts(["whale"]), encoder.encode_texts(["whale"]), atol=1e-6)
    assert ran.exists()


def test_texts_may_be_encoded_while_pages_are_cut_into_chunks(encoder):
    """Padding and cutting are switched on and off within one tokenizer."""
    words, texts = ["whale"] * 90, ["whale " * 90, "sea"]
    expected, wrong = encoder.encode_texts(texts), []
    stop = threading.Event()

    def cut():
        while not stop.is_set():
            if encoder.model.token_ends(words)[-1] != 90:
                wrong.append("tokens")

    thread = threading.Thread(target=cut)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        thread.start()
        for _ in range(50):
            np.testing.assert_allclose(encoder.encode_texts(texts), expected, atol=1e-5)
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert wrong == []


def test_a_folder_that_can_not_be_loaded_is_named(tmp_path):
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    encoder = SemanticEncoder(str(tmp_path / "half"))
    with pytest.raises(ChannelUnavailable, match="can't load"):
        encoder.encode_query("whale")
