"""A GGUF file with the same weights in F32: python gguf_f32.py IN.gguf OUT.gguf.

What quantisation does to a model's products is then gone from a comparison (docs/llama.md). Needs the package `gguf`,
as the Python tools do; four bytes a weight.
"""
# SPDX-License-Identifier: MIT

import sys
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, dequantize


def in_f32(source: Path, target: Path) -> None:
    given = GGUFReader(source)
    made = GGUFWriter(target, given.fields["general.architecture"].contents())
    made.add_file_type(LlamaFileType.ALL_F32)
    own = ("general.architecture", "general.file_type", "general.quantization_version")
    for name, field in given.fields.items():
        if name in own or name.startswith("GGUF."):
            continue
        is_list = field.types[0] == GGUFValueType.ARRAY
        made.add_key_value(name, field.contents(), field.types[0], field.types[-1] if is_list else None)
    for tensor in given.tensors:
        rows = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        made.add_tensor(tensor.name, rows.reshape([int(n) for n in reversed(tensor.shape)]))
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: gguf_f32.py IN.gguf OUT.gguf")
    in_f32(Path(sys.argv[1]), Path(sys.argv[2]))
