"""Trains the demo model. See README.md."""
import argparse
import glob
import json
import math
import multiprocessing
import os
import resource
import shutil
import time

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

import checkpoint
import evaluate
import export
from model import Model, hint_loss
from questions import TASKS
from samples import Samples
from tokenizer import Tokenizer

PART_BYTES = 14 << 20  # of one file of weights
# Answers of one word have few tokens beside those of a box, so each counts more.
TASK_WEIGHTS = {"box": 1., "several": 1., "absent": 2., "describe": .7, "count": 4., "colour": 3.,
                "shape": 3., "number": 4., "yesno": 3., "picture": 4.}


def save_parts(named, prefix):
    """Writes tensors to PREFIX-0.pt, PREFIX-1.pt, ... of limited size."""
    parts, size = [{}], 0
    for name, value in named.items():
        value = value.detach().cpu().contiguous().clone()
        bytes_ = value.numel() * value.element_size()
        if size + bytes_ > PART_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][name] = value
        size += bytes_
    for i, part in enumerate(parts):
        path = "%s-%d.pt" % (prefix, i)
        torch.save(part, path + ".part")
        os.replace(path + ".part", path)


def load_parts(prefix):
    named = {}
    for path in sorted(glob.glob(prefix + "-*.pt")):
        named.update(torch.load(path, map_location="cpu"))
    return named


def new_model(tokenizer):
    return Model(-(-tokenizer.size // 16) * 16)


def load_model(folder, tokenizer):
    """The model of an earlier run's folder, or of a checkpoint in the published layout."""
    model = new_model(tokenizer)
    named = load_parts(os.path.join(folder, "weights")) or checkpoint.read(folder)
    found = model.load_state_dict(named, strict=False)
    wrong = found.unexpected_keys + [n for n in found.missing_keys if not n.startswith("hints.")]
    if wrong:
        raise SystemExit("%s: not of this model's shape: %s" % (folder, ", ".join(wrong[:3])))
    model.hinted = "hints.weight" in named
    return model


def make_optimizer(model, device):
    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": .05}, {"params": others, "weight_decay": 0.}]
    extra = {"fused": True} if device.type == "cuda" else {}
    return torch.optim.AdamW(groups, lr=1e-3, betas=(.9, .95), eps=1e-8, **extra)


MOMENTS = ("exp_avg", "exp_avg_sq")


def moments(model, optimizer):
    """Adam's averages by parameter name, in bf16; they only make a later start smoother."""
    return {"%s %s" % (key, name): optimizer.state[p][key].to(torch.bfloat16)
            for name, p in model.named_parameters() if p in optimizer.state for key in MOMENTS}


def restore_moments(model, optimizer, saved):
    for name, p in model.named_parameters():
        if "exp_avg " + name in saved:
            state = {key: saved["%s %s" % (key, name)].to(p.device, torch.float32)
                     for key in MOMENTS}
            state["step"] = torch.tensor(1000., device=p.device if p.is_cuda else "cpu")
            optimizer.state[p] = state


def save(model, optimizer, tokenizer, folder):
    named = {n: v for n, v in model.state_dict().items()
             if model.hinted or not n.startswith("hints.")}
    save_parts(named, os.path.join(folder, "weights"))
    save_parts(moments(model, optimizer), os.path.join(folder, "optimizer"))
    export.write_tar(model, tokenizer, os.path.join(folder, "demo.tar"))


def rate_at(progress, peak):
    """Warm-up, then a cosine to zero over the time given."""
    warm = .03
    if progress < warm:
        return peak * max(.01, progress / warm)
    return peak * .5 * (1 + math.cos(math.pi * min(1, (progress - warm) / (1 - warm))))


def to_device(batch, device):
    moved = {}
    for name, value in batch.items():
        if name != "layout":
            value = torch.as_tensor(value).to(device, non_blocking=True)
        moved[name] = value
    return moved


class Log:
    """Means of the losses since the last line, kept on the device to avoid waiting for it."""

    def __init__(self, path, device):
        self.file = open(path, "a", encoding="utf-8")
        self.sums = torch.zeros(2, len(TASKS), device=device)
        self.rest = torch.zeros(3, device=device)
        self.device, self.steps, self.samples = device, 0, 0

    def add(self, losses, tasks, hint, balance, norm, samples):
        self.sums[0].index_add_(0, tasks, losses)
        self.sums[1].index_add_(0, tasks, torch.ones_like(losses))
        self.rest += torch.stack([hint, balance, norm.to(hint.dtype)])
        self.steps, self.samples = self.steps + 1, self.samples + samples

    def write(self, step, seconds, rate, waited):
        sums, rest = self.sums.tolist(), (self.rest / self.steps).tolist()
        line = {"step": step, "seconds": round(seconds, 1), "rate": rate,
                "loss": sum(sums[0]) / max(1, sum(sums[1])),
                "tasks": {t: s / n for t, s, n in zip(TASKS, *sums) if n}, "hint": rest[0],
                "balance": rest[1], "norm": rest[2], "samples": self.samples,
                "waited": round(waited, 2)}
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        tasks = " ".join("%s %.3f" % (t, v) for t, v in line["tasks"].items())
        print("%6d %6.1fs loss %.4f hint %.3f norm %.2f | %s | waited %.2fs" %
              (step, seconds, line["loss"], line["hint"], line["norm"], tasks, waited), flush=True)
        self.sums.zero_()
        self.rest.zero_()
        self.steps = 0


def train_step(model, optimizer, batch, weights, hint_weight, device):
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits, hints = model(batch)
    losses = F.cross_entropy(logits, batch["targets"], reduction="none")
    weight = weights[batch["tasks"]]
    hint, balance = hint_loss(hints, batch), model.balance()
    loss = (losses * weight).sum() / weight.sum() + hint_weight * hint + .01 * balance
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return losses.detach(), hint.detach(), balance.detach(), norm


def train(options):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if options.threads:
        torch.set_num_threads(options.threads)
    if hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
        torch.backends.cuda.enable_cudnn_sdp(False)  # it prepares each new length anew
    torch.manual_seed(options.seed)
    os.makedirs(options.out, exist_ok=True)
    tokenizer = Tokenizer()
    model = load_model(options.resume, tokenizer) if options.resume else new_model(tokenizer)
    model.to(device).train()
    optimizer = make_optimizer(model, device)
    if options.resume:
        restore_moments(model, optimizer,
                        load_parts(os.path.join(options.resume, "optimizer")))
    if options.compile:
        for block in list(model.vision.blocks) + list(model.language.model.layers):
            block.compile(dynamic=True)
    # Every tensor on its way from a worker is an open file.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    progress = multiprocessing.Value("d", 0.0, lock=False)
    # Batches travel through shared memory; where there is little, through pipes.
    pipe = options.workers > 0 and shutil.disk_usage("/dev/shm").free < 8 << 30
    data = Samples(options.batch, options.seed, progress, 0 if options.resume else options.easy,
                   pipe)
    extra = {"prefetch_factor": 3} if options.workers else {}
    loader = iter(DataLoader(data, batch_size=None, num_workers=options.workers,
                             collate_fn=evaluate.unchanged, pin_memory=device.type == "cuda",
                             **extra))
    weights = torch.tensor([TASK_WEIGHTS[t] for t in TASKS], device=device)
    log = Log(os.path.join(options.out, "log.jsonl"), device)
    print("%.2f M parameters on %s, batch %d, %d workers%s" % (
        sum(p.numel() for p in model.parameters()) / 1e6, device, options.batch,
        options.workers, ", by pipes" if pipe else ""), flush=True)

    batch = next(loader)  # start-up ends when the first batch is there
    begin = saved = logged = time.time()
    total = options.minutes * 60
    reserve = options.reserve if options.reserve is not None else min(35, .2 * total)
    length, step, waited = total - reserve, 0, 0.0
    while True:
        seconds = time.time() - begin
        if seconds >= length or options.steps and step >= options.steps:
            break
        progress.value = seconds / length
        rate = rate_at(progress.value, options.rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        moved = to_device(batch, device)
        # A new head for the hints would pull at a tower that has learned to see.
        hint_weight = .5 * (1 - progress.value) + .1 if model.hinted else 0
        losses, hint, balance, norm = train_step(model, optimizer, moved, weights, hint_weight,
                                                 device)
        log.add(losses, moved["tasks"], hint, balance, norm, len(moved["ids"]))
        step += 1
        asked = time.time()
        batch = next(loader)
        waited += time.time() - asked
        if time.time() - logged > options.log:
            logged = time.time()
            log.write(step, logged - begin, rate, waited)
            waited = 0.0
        if time.time() - saved > options.save and length - seconds > options.save / 2:
            saved = time.time()
            save(model, optimizer, tokenizer, options.out)
    if log.steps:
        log.write(step, time.time() - begin, rate, waited)
    del loader  # ends the workers
    save(model, optimizer, tokenizer, options.out)
    memory = torch.cuda.max_memory_allocated() >> 20 if device.type == "cuda" else 0
    print("saved after %d steps, %.1f s, %d MiB of the GPU" % (step, time.time() - begin, memory),
          flush=True)
    if options.evaluate:
        plain = new_model(tokenizer).to(device)  # not compiled
        plain.load_state_dict(model.state_dict())
        left = total - (time.time() - begin) - 1
        result = evaluate.evaluate(plain, tokenizer, device, options.evaluate, options.workers,
                                   left, 256 if device.type == "cuda" else 8, options.show)
        result.update(steps=step, samples=log.samples, seconds=round(time.time() - begin, 1))
        with open(os.path.join(options.out, "accuracy.json"), "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
        evaluate.print_table(result)
    print("done after %.1f s" % (time.time() - begin), flush=True)


def main():
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    cuda = torch.cuda.is_available()
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, required=True, help="time for training and evaluation together")
    add("--out", required=True, help="folder for weights, log and accuracy")
    add("--resume", help="folder to go on from: an earlier run, or config.json and "
        "*.safetensors")
    add("--batch", type=int, default=256 if cuda else 8, help="samples of one tile in a step")
    add("--workers", type=int, default=max(1, cores - 1), help="processes that draw; 0: none")
    add("--threads", type=int, default=0, help="threads of torch on the CPU")
    add("--seed", type=int, default=1)
    add("--rate", type=float, default=1.5e-3, help="highest learning rate")
    add("--easy", type=float, default=.08, help="share of the time with small, simple pictures")
    add("--steps", type=int, default=0, help="stop after so many steps")
    add("--save", type=float, default=120, help="seconds between saves")
    add("--log", type=float, default=5, help="seconds between lines of the log")
    add("--reserve", type=float, help="seconds of the time kept for saving and evaluation")
    add("--evaluate", type=int, default=1600 if cuda else 64, help="held-out questions at the end")
    add("--show", type=int, default=1, help="answers of each held-out batch to print")
    add("--compile", action="store_true", help="torch.compile the layers (newer torch)")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
