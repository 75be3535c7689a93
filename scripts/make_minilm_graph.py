"""Writes retrieval/encoders/minilm.onnx: BERT's encoder as all-MiniLM-L6-v2 has it, as a graph without weights.

The weights are declared external under the names that they have in the model's safetensors file and are handed to
onnxruntime when the graph is loaded (retrieval/encoders/minilm.py). The operators are onnxruntime's own fused ones
(domain com.microsoft), which its CPU provider carries. Needs the package onnx.

usage: python scripts/make_minilm_graph.py [FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

from onnx import ModelProto, TensorProto, helper

GRAPH = Path(__file__).parents[1] / "retrieval" / "encoders" / "minilm.onnx"
LAYERS, HEADS, HIDDEN, INNER = 6, 12, 384, 1536
VOCABULARY, POSITIONS, EPSILON = 30522, 512, 1e-12
FUSED = "com.microsoft"


class Graph:
    """Nodes and declared weights, gathered in order."""

    def __init__(self) -> None:
        self.nodes: list[object] = []
        self.weights: list[TensorProto] = []

    def weight(self, name: str, *shape: int) -> str:
        """Declare a weight; its values come when the graph is loaded."""
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="model.safetensors")
        self.weights.append(tensor)
        return name

    def norm(self, name: str) -> list[str]:
        """The scale and shift of a layer normalisation."""
        return [self.weight(f"{name}.weight", HIDDEN), self.weight(f"{name}.bias", HIDDEN)]

    def op(self, kind: str, inputs: list[str], *outputs: str, domain: str = FUSED, **attributes: object) -> str:
        """Append a node; gives its first output."""
        self.nodes.append(helper.make_node(kind, inputs, list(outputs), outputs[0], domain=domain, **attributes))
        return outputs[0]

    def linear(self, x: str, name: str, output: str, *shape: int) -> str:
        """``x @ W.T`` with W [out, in] as stored; the bias is added by the operator that follows."""
        return self.op("FusedMatMul", [x, self.weight(name, *shape)], output, transB=1)


def embeddings(graph: Graph) -> str:
    """Word, position and type embeddings, summed and normalised; also ``lengths`` [batch] from the mask."""
    for name in ("input_ids", "token_type_ids", "attention_mask"):
        graph.op("Cast", [name], f"{name}.int32", domain="", to=TensorProto.INT32)
    tables = [
        graph.weight("embeddings.word_embeddings.weight", VOCABULARY, HIDDEN),
        graph.weight("embeddings.position_embeddings.weight", POSITIONS, HIDDEN),
        graph.weight("embeddings.token_type_embeddings.weight", 2, HIDDEN),
    ]
    inputs = ["input_ids.int32", "token_type_ids.int32", *tables, *graph.norm("embeddings.LayerNorm")]
    return graph.op(
        "EmbedLayerNormalization", [*inputs, "attention_mask.int32"], "embedded", "lengths", epsilon=EPSILON
    )


def layer(graph: Graph, x: str, number: int) -> str:
    """One transformer layer: attention, then the inner network, each added to its input and normalised."""
    name = f"encoder.layer.{number}"
    attention, out = f"{name}.attention.self", f"{name}.attention.output"
    packed = [graph.weight(f"{attention}.weight", HIDDEN, 3 * HIDDEN), graph.weight(f"{attention}.bias", 3 * HIDDEN)]
    y = graph.op("Attention", [x, *packed, "lengths"], f"{name}.heads", num_heads=HEADS)
    y = graph.linear(y, f"{out}.dense.weight", f"{name}.attended", HIDDEN, HIDDEN)
    inputs = [y, x, *graph.norm(f"{out}.LayerNorm"), graph.weight(f"{out}.dense.bias", HIDDEN)]
    x = graph.op("SkipLayerNormalization", inputs, f"{name}.middle", epsilon=EPSILON)
    y = graph.linear(x, f"{name}.intermediate.dense.weight", f"{name}.widened", INNER, HIDDEN)
    y = graph.op("BiasGelu", [y, graph.weight(f"{name}.intermediate.dense.bias", INNER)], f"{name}.bent")
    y = graph.linear(y, f"{name}.output.dense.weight", f"{name}.narrowed", HIDDEN, INNER)
    inputs = [y, x, *graph.norm(f"{name}.output.LayerNorm"), graph.weight(f"{name}.output.dense.bias", HIDDEN)]
    output = "last_hidden_state" if number == LAYERS - 1 else name
    return graph.op("SkipLayerNormalization", inputs, output, epsilon=EPSILON)


def build() -> ModelProto:
    """The graph: three int64 [batch, tokens] as BERT names them -> last_hidden_state: float [batch, tokens, 384].

    Rows are padded on the right.
    """
    graph = Graph()
    x = embeddings(graph)
    for number in range(LAYERS):
        x = layer(graph, x, number)
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names]
    outputs = [helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", "tokens", HIDDEN])]
    body = helper.make_graph(graph.nodes, "minilm", inputs, outputs, graph.weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=8, producer_name="folioscope")


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else GRAPH
    target.write_bytes(build().SerializeToString(deterministic=True))
    print(f"{target}: {target.stat().st_size} bytes")
