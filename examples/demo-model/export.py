"""Writes a trained model in the published layout: safetensors and JSON files.

train.py does it in bf16; `python3 export.py --weights RUN --out FOLDER --f32` keeps all bits.
"""
import argparse
import io
import json
import os
import struct
import tarfile

import torch

import tiles
from tokenizer import BOS, EOS, PAD, Tokenizer


def config(model, tokenizer, kind="bfloat16"):
    s = model.shape
    return {
        "architectures": ["DeepseekVLV2ForCausalLM"],
        "candidate_resolutions": [list(r) for r in tiles.RESOLUTIONS],
        "global_view_pos": "head",
        "language_config": {
            "architectures": ["DeepseekV2ForCausalLM"], "bos_token_id": tokenizer.bos,
            "eos_token_id": tokenizer.eos, "first_k_dense_replace": 1,
            "hidden_size": s["hidden"], "intermediate_size": s["dense"],
            "kv_lora_rank": s["latent"], "lm_head": True, "max_position_embeddings": 4096,
            "moe_intermediate_size": s["expert"], "n_group": 1, "n_routed_experts": s["experts"],
            "n_shared_experts": s["shared"], "norm_topk_prob": True,
            "num_attention_heads": s["heads"], "num_experts_per_tok": s["active"],
            "num_hidden_layers": s["layers"], "num_key_value_heads": s["heads"],
            "q_lora_rank": None, "qk_nope_head_dim": s["nope"], "qk_rope_head_dim": s["rope"],
            "rm_head": False, "routed_scaling_factor": 1.0, "scoring_func": "softmax",
            "topk_group": 1, "topk_method": "greedy", "torch_dtype": kind,
            "use_mla": True, "v_head_dim": s["value"], "vocab_size": model.vocabulary,
        },
        "model_type": "deepseek_vl_v2",
        "projector_config": {"input_dim": s["vision_width"], "model_type": "mlp_projector",
                             "n_embed": s["hidden"]},
        "tile_tag": "2D", "torch_dtype": kind, "transformers_version": "4.38.2",
        "vision_config": {
            "heads": s["vision_heads"], "image_size": tiles.SIDE, "layers": s["vision_layers"],
            "mlp_ratio": 4.0, "model_name": "siglip_demo_patch16_224", "model_type": "vision",
            "patch_size": s["patch"], "width": s["vision_width"]},
    }


PROCESSOR = {
    "add_special_token": False, "candidate_resolutions": [list(r) for r in tiles.RESOLUTIONS],
    "downsample_ratio": 2, "ignore_id": -100, "image_mean": [.5, .5, .5],
    "image_std": [.5, .5, .5], "image_token": "<image>", "mask_prompt": False,
    "normalize": True, "pad_token": PAD, "patch_size": 16,
    "processor_class": "DeepseekVLV2Processor", "sft_format": "deepseek",
}


def _token(content, normalized=True):
    return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False,
            "single_word": False}


def tokenizer_config(tokenizer):
    decoder = {str(i): dict(_token(t, False), special=True)
               for t, i in sorted(tokenizer.special.items(), key=lambda p: p[1])}
    return {"add_bos_token": False, "add_eos_token": False, "added_tokens_decoder": decoder,
            "additional_special_tokens": ["<|User|>", "<|Assistant|>"], "bos_token": BOS,
            "clean_up_tokenization_spaces": False, "eos_token": EOS, "legacy": True,
            "model_max_length": 4096, "pad_token": PAD,
            "processor_class": "DeepseekVLV2Processor", "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizerFast", "unk_token": None,
            "use_default_system_prompt": False}


SPECIAL_TOKENS = {
    "additional_special_tokens": [_token("<|User|>", False), _token("<|Assistant|>", False)],
    "bos_token": _token(BOS), "eos_token": _token(EOS), "pad_token": _token(PAD),
}


def tensors(model):
    """The published names and tensors; the stacked experts are cut apart."""
    experts = model.shape["experts"]
    for name, value in model.state_dict().items():
        value = value.detach().float().cpu()
        if name.startswith("hints."):
            continue
        if ".mlp.experts." in name:
            head, part = name.split(".experts.")
            for i, piece in enumerate(value.chunk(experts, 1 if "down_proj" in part else 0)):
                yield "%s.experts.%d.%s" % (head, i, part), piece.contiguous()
        else:
            yield name, value.contiguous()


def safetensors(named, kind="bfloat16"):
    """The bytes of a safetensors file with the tensors rounded to bf16, or as they are."""
    header, data = {"__metadata__": {"format": "pt"}}, []
    at = 0
    for name, value in named:
        if kind == "bfloat16":
            value = value.to(torch.bfloat16).view(torch.int16)
        raw = value.numpy().tobytes()
        header[name] = {"dtype": "BF16" if kind == "bfloat16" else "F32",
                        "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data)


def files(model, tokenizer, kind="bfloat16"):
    def text(value):
        return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()

    return {
        "config.json": text(config(model, tokenizer, kind)),
        "processor_config.json": text(PROCESSOR),
        "tokenizer.json": text(tokenizer.json),
        "tokenizer_config.json": text(tokenizer_config(tokenizer)),
        "special_tokens_map.json": text(SPECIAL_TOKENS),
        "model.safetensors": safetensors(tensors(model), kind),
    }


def write_folder(model, tokenizer, folder, kind="bfloat16"):
    os.makedirs(folder, exist_ok=True)
    for name, data in files(model, tokenizer, kind).items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def write_tar(model, tokenizer, path):
    """The same files as one archive."""
    with tarfile.open(path + ".part", "w") as tar:
        for name, data in files(model, tokenizer).items():
            info = tarfile.TarInfo("demo/" + name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    os.replace(path + ".part", path)


def main():
    from train import load_model
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", required=True, help="folder for train.py --resume")
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--f32", action="store_true", help="all bits, instead of bf16")
    options = parser.parse_args()
    tokenizer = Tokenizer()
    write_folder(load_model(options.weights, tokenizer), tokenizer, options.out,
                 "float32" if options.f32 else "bfloat16")


if __name__ == "__main__":
    main()
