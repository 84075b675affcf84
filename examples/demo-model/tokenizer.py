"""A small byte-level BPE tokenizer and the layout of a conversation in tokens.

`python3 tokenizer.py` learns the merges from the texts of questions.py and writes
tokenizer.json. Digits stay single tokens, as in the family's tokenizers.
"""
import collections
import json
import os
import re

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>"
ADDED = ["<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>", "<|User|>",
         "<|Assistant|>"]
MERGES = 300
# One pattern cuts text into the pieces that merges stay inside. Python's re knows no \p{L}; for
# the ASCII texts of this folder both forms are equal.
PATTERN = r"\p{N}|, (?=\p{N})| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_PIECES = re.compile(PATTERN.replace(r"[^\s\p{L}\p{N}]", r"[^\sA-Za-z0-9]")
                     .replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]"))


def _byte_symbols():
    """GPT-2's printable character for each byte."""
    kept = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    symbols = {b: chr(b) for b in kept}
    for b in range(256):
        if b not in symbols:
            symbols[b] = chr(256 + len(symbols) - len(kept))
    return symbols


_SYMBOLS = _byte_symbols()


def learn(texts):
    """The merges of a byte-level BPE over the texts."""
    words = collections.Counter()
    for text in texts:
        for part in re.split("(" + "|".join(map(re.escape, ADDED)) + ")", text):
            if part not in ADDED:
                words.update(_PIECES.findall(part))
    split = {w: [_SYMBOLS[b] for b in w.encode()] for w in words}
    merges = []
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, symbols in split.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for word, symbols in split.items():
            split[word] = _merge(symbols, best)
    return merges


def _merge(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i:i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def build(merges):
    """The contents of tokenizer.json."""
    tokens = [BOS, EOS, PAD] + [_SYMBOLS[b] for b in range(256)]
    tokens += [a + b for a, b in merges]
    vocab = {}
    for token in tokens:
        vocab.setdefault(token, len(vocab))
    first = len(vocab)
    ids = [(0, BOS), (1, EOS), (2, PAD)] + [(first + i, t) for i, t in enumerate(ADDED)]
    added = [{"id": i, "content": t, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False, "special": True} for i, t in ids]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": []},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated",
             "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": False}]},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
                           "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "vocab": vocab,
                  "merges": ["%s %s" % m for m in merges]},
    }


class Tokenizer:
    def __init__(self, path=None):
        path = path or os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer.json")
        with open(path, encoding="utf-8") as file:
            self.json = json.load(file)
        self.vocab = dict(self.json["model"]["vocab"])
        self.ranks = {tuple(m.split(" ")): i for i, m in enumerate(self.json["model"]["merges"])}
        self.special = {t["content"]: t["id"] for t in self.json["added_tokens"]}
        self.vocab.update(self.special)
        self.size = max(self.vocab.values()) + 1
        self.tokens = {i: t for t, i in self.vocab.items()}
        self.bytes = {s: b for b, s in _SYMBOLS.items()}
        self.bos, self.eos, self.pad = (self.special[t] for t in (BOS, EOS, PAD))
        self.image = self.special["<image>"]
        self._cut = re.compile("(" + "|".join(map(re.escape, self.special)) + ")")
        self._cache = {}

    def _word(self, word):
        ids = self._cache.get(word)
        if ids is None:
            symbols = [_SYMBOLS[b] for b in word.encode()]
            while len(symbols) > 1:
                pairs = [(self.ranks.get(p, 1 << 30), p) for p in zip(symbols, symbols[1:])]
                rank, pair = min(pairs)
                if rank == 1 << 30:
                    break
                symbols = _merge(symbols, pair)
            ids = self._cache[word] = [self.vocab[s] for s in symbols]
        return ids

    def encode(self, text):
        ids = []
        for part in self._cut.split(text):
            if part in self.special:
                ids.append(self.special[part])
            else:
                for word in _PIECES.findall(part):
                    ids += self._word(word)
        return ids

    def decode(self, ids):
        text = b""
        for i in ids:
            token = self.tokens.get(i, "")
            text += token.encode() if token in self.special else \
                bytes(self.bytes[c] for c in token)
        return text.decode("utf-8", "replace")

    def conversation(self, turns, image_counts):
        """Tokens of turns (task, question, answer), and which of them are to be learned.

        Returns ids and, for each, the index of its turn if it belongs to an answer (its end of
        sentence included), else -1. The <image> tags become image_counts[i] ids each.
        """
        ids, turn_of, image = [self.bos], [-1], 0
        for number, (_, question, answer) in enumerate(turns):
            for token in self.encode("<|User|>: " + question.strip() + "\n\n<|Assistant|>:"):
                if token == self.image:
                    ids += [token] * image_counts[image]
                    image += 1
                else:
                    ids.append(token)
            turn_of += [-1] * (len(ids) - len(turn_of))
            if answer is not None:
                ids += self.encode(answer.strip()) + [self.eos]
                turn_of += [number] * (len(ids) - len(turn_of))
        return ids, turn_of


def main():
    import random
    from draw import draw_picture
    from questions import conversation
    rng, texts = random.Random(0), []
    for i in range(3000):
        scenes = [((224, 224), draw_picture(rng, 224, 224)[1]) for _ in range(1 + i % 4 // 3)]
        for _, question, answer in conversation(rng, scenes, 6):
            texts += ["<|User|>: " + question + "\n\n<|Assistant|>:", answer]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(build(learn(texts)), file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
