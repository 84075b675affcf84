"""DeepSeek-VL2 in torch: SigLIP tower, downsampling projector, DeepSeekMoE decoder with MLA.

Modules are named as in the published checkpoints, so a parameter's name is its tensor's name.
Only the routed experts are different: they are stacked here and cut apart by export.py.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

import tiles

SHAPE = {
    "patch": 16, "vision_width": 128, "vision_layers": 6, "vision_heads": 4,
    "hidden": 192, "layers": 5, "heads": 6, "latent": 64, "nope": 32, "rope": 16, "value": 32,
    "dense": 384, "experts": 16, "active": 4, "expert": 48, "shared": 2,
}
# Outputs of the hints' head, see samples.cell_targets: of places the hundreds and the tens.
HINTS = {"kinds": 10, "colours": 8, "boxes": 4, "places": 4 * 2 * 10, "digits": 4 * 11}


def attention(q, k, v, causal):
    """Softmax attention, [batch, heads, tokens, width]; v may be narrower than q and k."""
    if hasattr(F, "scaled_dot_product_attention"):
        width = v.shape[-1]
        if width < q.shape[-1] and q.is_cuda:  # the fast kernels want equal widths
            v = F.pad(v, (0, q.shape[-1] - width))
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)[..., :width]
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -.5
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(hidden, float("-inf"))
    return scores.softmax(-1) @ v


class PatchEmbed(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels):
        """[n, side, side, 3] to [n, patches, width]; a convolution, written as a product."""
        n, side, p = pixels.shape[0], pixels.shape[1], self.proj.kernel_size[0]
        g = side // p
        patches = pixels.view(n, g, p, g, p, 3).permute(0, 1, 3, 5, 2, 4).reshape(n, g * g, -1)
        return F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)


class VisionAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        n, t, w = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        return self.proj(attention(q, k, v, False).transpose(1, 2).reshape(n, t, w))


class VisionMlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class VisionBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn, self.mlp = VisionAttention(width, heads), VisionMlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vision(nn.Module):
    def __init__(self, s):
        super().__init__()
        width, grid = s["vision_width"], tiles.SIDE // s["patch"]
        self.patch_embed = PatchEmbed(s["patch"], width)
        self.pos_embed = nn.Parameter(torch.zeros(1, grid * grid, width))
        self.blocks = nn.ModuleList(VisionBlock(width, s["vision_heads"])
                                    for _ in range(s["vision_layers"]))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, pixels):
        x = self.patch_embed(pixels) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Projector(nn.Module):
    """2x2 patches side by side, then two layers: [n, 196, width] to [n, 49, hidden]."""

    def __init__(self, width, hidden):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4 * width, hidden), nn.GELU(),
                                    nn.Linear(hidden, hidden))

    def forward(self, x):
        n, c, width = x.shape[0], tiles.CELLS, x.shape[2]
        x = x.view(n, c, 2, c, 2, width).permute(0, 1, 3, 5, 2, 4)  # channel, then dy, dx
        return self.layers(x.reshape(n, c * c, 4 * width))


class RMSNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = x.float()
        if hasattr(F, "rms_norm"):  # one kernel instead of five
            return F.rms_norm(y, self.weight.shape, self.weight, 1e-6)
        return y * torch.rsqrt(y.square().mean(-1, keepdim=True) + 1e-6) * self.weight


def rotary(length, width, device):
    """Cosines and sines of the positions, [length, width / 2]."""
    rates = 10000.0 ** (-torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    angles = torch.arange(length, device=device, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x, table):
    """Turns neighbouring pairs of x, [batch, tokens, heads, width], by their position."""
    cos, sin = (t[:, None, :] for t in table)
    a, b = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1).to(x.dtype)


class LatentAttention(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s, hidden, heads = s, s["hidden"], s["heads"]
        self.q_proj = nn.Linear(hidden, heads * (s["nope"] + s["rope"]), bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(hidden, s["latent"] + s["rope"], bias=False)
        self.kv_a_layernorm = RMSNorm(s["latent"])
        self.kv_b_proj = nn.Linear(s["latent"], heads * (s["nope"] + s["value"]), bias=False)
        self.o_proj = nn.Linear(heads * s["value"], hidden, bias=False)

    def forward(self, x, table):
        s, (n, t, _) = self.s, x.shape
        q = self.q_proj(x).view(n, t, s["heads"], -1)
        q_nope, q_rope = q.split([s["nope"], s["rope"]], -1)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([s["latent"], s["rope"]], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(n, t, s["heads"], -1)
        k_nope, v = kv.split([s["nope"], s["value"]], -1)
        k_rope = rotate(k_rope.unsqueeze(2), table).expand(-1, -1, s["heads"], -1)
        q = torch.cat([q_nope, rotate(q_rope, table)], -1).transpose(1, 2)
        k = torch.cat([k_nope, k_rope], -1).transpose(1, 2)
        mixed = attention(q, k, v.transpose(1, 2), True)
        return self.o_proj(mixed.transpose(1, 2).reshape(n, t, -1))


class Mlp(nn.Module):
    def __init__(self, hidden, width):
        super().__init__()
        self.gate_proj = nn.Linear(hidden, width, bias=False)
        self.up_proj = nn.Linear(hidden, width, bias=False)
        self.down_proj = nn.Linear(width, hidden, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Experts(Mlp):
    """All routed experts side by side, as one wide network.

    At this size computing every expert for every token is faster than gathering the tokens of
    each: three large products, and those a token was not routed to are multiplied by 0.
    """

    def forward(self, x, weights):
        inner = F.silu(self.gate_proj(x)) * self.up_proj(x)
        n, experts = weights.shape
        inner = inner.view(n, experts, -1) * weights.to(inner.dtype).unsqueeze(-1)
        return self.down_proj(inner.view(n, -1))


class MoE(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.active = s["active"]
        self.gate = nn.Linear(s["hidden"], s["experts"], bias=False)
        self.experts = Experts(s["hidden"], s["experts"] * s["expert"])
        self.shared_experts = Mlp(s["hidden"], s["shared"] * s["expert"])
        self.balance = None

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        with torch.autocast(x.device.type, enabled=False):  # routing is decided in float32
            scores = F.linear(flat.float(), self.gate.weight.float()).softmax(-1)
            chosen, ids = scores.topk(self.active, -1)
            chosen = chosen / (chosen.sum(-1, keepdim=True) + 1e-20)
            weights = torch.zeros_like(scores).scatter(1, ids, chosen)
        if self.training:  # 1 when all experts are used alike
            load = (weights > 0).float().mean(0) / self.active
            self.balance = scores.shape[-1] * (load * scores.mean(0)).sum()
        return (self.experts(flat, weights) + self.shared_experts(flat)).view(x.shape)


class Layer(nn.Module):
    def __init__(self, s, dense):
        super().__init__()
        self.input_layernorm = RMSNorm(s["hidden"])
        self.self_attn = LatentAttention(s)
        self.post_attention_layernorm = RMSNorm(s["hidden"])
        self.mlp = Mlp(s["hidden"], s["dense"]) if dense else MoE(s)

    def forward(self, x, table):
        x = x + self.self_attn(self.input_layernorm(x), table)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, s, vocabulary):
        super().__init__()
        self.embed_tokens = nn.Embedding(vocabulary, s["hidden"])
        self.layers = nn.ModuleList(Layer(s, i == 0) for i in range(s["layers"]))
        self.norm = RMSNorm(s["hidden"])
        self.rope = s["rope"]

    def forward(self, x):
        table = rotary(x.shape[1], self.rope, x.device)
        for layer in self.layers:
            x = layer(x, table)
        return self.norm(x)


class Language(nn.Module):
    def __init__(self, s, vocabulary):
        super().__init__()
        self.model = Decoder(s, vocabulary)
        self.lm_head = nn.Linear(s["hidden"], vocabulary, bias=False)


class Model(nn.Module):
    def __init__(self, vocabulary, shape=None):
        super().__init__()
        self.shape, self.vocabulary = dict(shape or SHAPE), vocabulary
        s, hidden = self.shape, self.shape["hidden"]
        self.vision = Vision(s)
        self.projector = Projector(s["vision_width"], hidden)
        self.image_newline = nn.Parameter(torch.randn(hidden) * .3)
        self.view_seperator = nn.Parameter(torch.randn(hidden) * .3)
        self.language = Language(s, vocabulary)
        self.hints = nn.Linear(hidden, sum(HINTS.values()))  # only for training
        self.hinted = True
        self._initialise()

    def _initialise(self):
        s = self.shape
        for name, module in self.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                fan_in = module.weight[0].numel()
                std = .8 / math.sqrt(fan_in)
                if name.endswith(("attn.proj", "mlp.fc2")):  # writes into the residual stream
                    std /= math.sqrt(2 * s["vision_layers"])
                elif name.endswith(("o_proj", "down_proj")):
                    width = s["expert"] if "experts" in name else fan_in
                    std = .8 / math.sqrt(width) / math.sqrt(2 * s["layers"])
                nn.init.normal_(module.weight, 0, std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.normal_(self.language.model.embed_tokens.weight, 0, .3)
        grid, width = tiles.SIDE // s["patch"], s["vision_width"]
        rates = 2 * math.pi * torch.arange(1, width // 4 + 1) / (width // 4) / 2
        along = torch.arange(grid)[:, None] * rates
        waves = torch.cat([along.sin(), along.cos()], -1)  # [grid, width / 2]
        rows, columns = waves[:, None].expand(-1, grid, -1), waves[None].expand(grid, -1, -1)
        with torch.no_grad():
            self.vision.pos_embed.copy_(.3 * torch.cat([rows, columns], -1).view(1, -1, width))

    def see(self, pixels):
        """Bytes [n, side, side, 3] to image tokens [n, 49, hidden]."""
        return self.projector(self.vision((pixels.float() / 255 - .5) / .5))

    def arrange(self, seen, layout):
        """The pictures' rows as they stand in the prompt: [n, tokens, hidden].

        `seen` is [n, tiles, 49, hidden]; each picture is its global view, a separator, and all
        its tiles joined; every row ends with the newline vector.
        """
        n, hidden, c = seen.shape[0], seen.shape[-1], tiles.CELLS
        newline = self.image_newline.to(seen.dtype)
        parts, at = [], 0

        def rows(grid):
            line = newline.expand(n, grid.shape[1], 1, hidden)
            parts.append(torch.cat([grid, line], 2).flatten(1, 2))

        for columns, lines in layout:
            view = seen[:, at].view(n, c, c, hidden)
            rows(view)
            parts.append(self.view_seperator.to(seen.dtype).expand(n, 1, hidden))
            count = columns * lines
            if count > 1:
                view = seen[:, at + 1:at + 1 + count].view(n, lines, columns, c, c, hidden)
                view = view.permute(0, 1, 3, 2, 4, 5).reshape(n, lines * c, columns * c, hidden)
                at += count
            rows(view)
            at += 1
        return torch.cat(parts, 1)

    def embed(self, ids, images, pictures):
        """Token vectors; `images` are the flat positions of the pictures' tokens."""
        x = self.language.model.embed_tokens(ids)
        flat = x.view(-1, x.shape[-1])
        flat = flat.index_copy(0, images, pictures.reshape(-1, x.shape[-1]).to(x.dtype))
        return flat.view(x.shape)

    def forward(self, batch):
        """Logits at the tokens that predict answers, and the hints about every tile."""
        pixels = batch["pixels"]
        seen = self.see(pixels.flatten(0, 1))
        pictures = self.arrange(seen.view(*pixels.shape[:2], *seen.shape[1:]), batch["layout"])
        x = self.language.model(self.embed(batch["ids"], batch["images"], pictures))
        x = x.view(-1, x.shape[-1]).index_select(0, batch["learned"])
        return self.language.lm_head(x).float(), self.hints(seen).float()

    def balance(self):
        losses = [l.mlp.balance for l in self.language.model.layers if isinstance(l.mlp, MoE)]
        return sum(losses) / len(losses)


def hint_loss(hints, batch):
    """How well the hints tell what samples.cell_targets says."""
    kinds, colours, boxes, places, digits = hints.split(list(HINTS.values()), -1)
    kind, colour = batch["labels"].unbind(-1)
    some, number = (kind > 0).float(), (kind == 9).float()

    def entropy(logits, target):
        return F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none")

    def mean(values, mask):
        values = values.reshape(*mask.shape, -1).sum(-1)
        return (values * mask).sum() / (mask.sum() + 1)

    place = batch["places"].clamp(min=0)
    place = torch.stack([place // 100, place // 10 % 10], -1)
    inside = (batch["places"][..., 0] >= 0).float()
    away = F.smooth_l1_loss(boxes, batch["where"], reduction="none", beta=.1)
    return (entropy(kinds, kind).mean() * 4 + mean(entropy(colours, colour), some) +
            mean(away, some) + .25 * mean(entropy(places.unflatten(-1, (8, 10)), place), inside) +
            .5 * mean(entropy(digits.unflatten(-1, (4, 11)), batch["digits"]), number))
