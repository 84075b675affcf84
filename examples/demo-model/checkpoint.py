"""Reads a checkpoint in the published layout back as the model's own tensors, to train further.

The inverse of export.py: `vl2 unpack demo.vl2 -o demo` writes such a folder.
"""
import glob
import json
import os
import struct

import torch

TYPES = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}


def read_safetensors(path):
    """{name: float32 tensor} of one file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    named = {}
    for name, t in header.items():
        shape = torch.Size(t["shape"])
        value = torch.frombuffer(data, dtype=TYPES[t["dtype"]], count=shape.numel(),
                                 offset=t["data_offsets"][0])
        named[name] = value.view(shape).float()
    return named


def stack_experts(named, experts):
    """The model's names: the experts of a layer side by side."""
    stacked = {}
    for name, value in named.items():
        if ".mlp.experts." not in name:
            stacked[name] = value
        elif ".mlp.experts.0." in name:
            every = [named[name.replace(".experts.0.", ".experts.%d." % i)]
                     for i in range(experts)]
            stacked[name.replace(".experts.0.", ".experts.")] = \
                torch.cat(every, 1 if "down_proj" in name else 0)
    return stacked


def read(folder):
    """The model's {name: tensor}, without the hints' head, which no export has."""
    named = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        named.update(read_safetensors(path))
    if not named:
        raise SystemExit("%s: neither weights-*.pt nor *.safetensors" % folder)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        experts = json.load(file)["language_config"]["n_routed_experts"]
    return stack_experts(named, experts)
