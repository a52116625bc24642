"""gguf_formats.py SOURCE.gguf F32.gguf Q8_0.gguf: writes a GGUF in f32 with all of the source's metadata, and the same in Q8_0."""

import sys

import gguf
import llama_cpp
from gguf.quants import dequantize

source, f32, q8 = sys.argv[1:]
reader = gguf.GGUFReader(source)
fields = reader.fields
writer = gguf.GGUFWriter(f32, fields["general.architecture"].contents())
for name, field in fields.items():
    if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type", "general.quantization_version"):
        continue
    sub = field.types[-1] if len(field.types) > 1 else None
    writer.add_key_value(name, field.contents(), field.types[0], sub)
writer.add_file_type(gguf.LlamaFileType.ALL_F32)
for tensor in reader.tensors:
    shape = [int(d) for d in reversed(tensor.shape)]
    writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type).reshape(shape).astype("float32"))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
params = llama_cpp.llama_model_quantize_default_params()
params.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
if llama_cpp.llama_model_quantize(f32.encode(), q8.encode(), params) != 0:
    sys.exit("llama_model_quantize failed")
