"""PyTorch's side of the benchmark: one training step of the Switch language model, generation from it, and matrix products.

Usage: python3 pytorch.py KIND WHAT THREADS BLAS_THREADS ROUNDS, where KIND WHAT is step MODEL, write MODEL:BATCH, prompt MODEL or matmul SIZE
Prints one JSON line. The model is the one in models.json: learned positions, pre-norm LayerNorm, every feed-forward a Switch
layer (top-1, ReLU, no bias in experts), capacity ceil(1.25 tokens / experts) over the whole batch, balance loss 0.01, clipping at 1, Adam.
Tokens reach their slots by index (no one-hot dispatch), the experts are one batched product: its best form on a CPU.
Generation is greedy, with keys and values in arrays of the full length that each step writes one row of; no token is dropped, and each expert
that was chosen computes its own tokens.
"""
import json
import math
import os
import resource
import sys
import time

# OpenBLAS reads it when it is loaded; torch.set_num_threads does not reach it.
os.environ["OPENBLAS_NUM_THREADS"] = sys.argv[4]

import torch
from torch import nn
import torch.nn.functional as F


class Switch(nn.Module):
    def __init__(self, width, hidden, experts):
        super().__init__()
        self.experts = experts
        self.router = nn.Linear(width, experts, bias=False)
        self.first = nn.Parameter(torch.randn(experts, width, hidden) * width**-0.5)
        self.second = nn.Parameter(torch.randn(experts, hidden, width) * hidden**-0.5)

    def forward(self, x):
        batch, length, width = x.shape
        x = x.reshape(-1, width)
        tokens = x.shape[0]
        capacity = math.ceil(1.25 * tokens / self.experts)
        probs = self.router(x).softmax(-1)
        gate, expert = probs.max(-1)
        chosen = F.one_hot(expert, self.experts)
        place = (chosen.cumsum(0) - 1).gather(1, expert[:, None]).squeeze(1)
        kept = place < capacity
        overflow = self.experts * capacity
        slot = torch.where(kept, expert * capacity + place, overflow)
        rows = x.new_zeros(overflow + 1, width).index_copy(0, slot, x)[:overflow]
        out = torch.bmm(torch.bmm(rows.view(self.experts, capacity, width), self.first).relu(), self.second)
        out = torch.cat([out.reshape(overflow, width), x.new_zeros(1, width)])
        y = out[slot] * gate[:, None]
        balance = self.experts * (chosen.float().mean(0) * probs.mean(0)).sum()
        return y.view(batch, length, width), balance

    def evaluate(self, x):
        shape, x = x.shape, x.reshape(-1, x.shape[-1])
        gate, expert = self.router(x).softmax(-1).max(-1)
        if len(x) == 1:
            e = expert.item()
            return (((x @ self.first[e]).relu() @ self.second[e]) * gate[:, None]).view(shape)
        y = torch.empty_like(x)
        for e in expert.unique().tolist():
            own = (expert == e).nonzero().squeeze(1)
            y[own] = (x[own] @ self.first[e]).relu() @ self.second[e]
        return (y * gate[:, None]).view(shape)


class Block(nn.Module):
    def __init__(self, width, heads, hidden, experts, length):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.switch = Switch(width, hidden, experts)
        self.register_buffer("future", torch.ones(length, length, dtype=torch.bool).triu(1))

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
        mixed = scores.masked_fill(self.future, -math.inf).softmax(-1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        y, balance = self.switch(self.norm2(x))
        return x + y, balance

    def evaluate(self, x, keys, values, start):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        stop = start + length
        keys[:, :, start:stop], values[:, :, start:stop] = k, v
        scores = (q @ keys[:, :, :stop].transpose(-1, -2)) * q.shape[-1] ** -0.5
        if length > 1:
            scores = scores.masked_fill(self.future[start:stop, :stop], -math.inf)
        mixed = scores.softmax(-1) @ values[:, :, :stop]
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.switch.evaluate(self.norm2(x))


class Model(nn.Module):
    def __init__(self, vocabulary, width, layers, heads, hidden, experts, length, batch):
        super().__init__()
        self.embed, self.places = nn.Embedding(vocabulary, width), nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, experts, length) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, ids):
        x, balances = self.embed(ids) + self.places, []
        for block in self.blocks:
            x, balance = block(x)
            balances.append(balance)
        return self.head(self.norm(x)), sum(balances)

    def write(self, ids, tokens):
        batch, length = ids.shape
        heads, width = self.blocks[0].heads, self.places.shape[1]
        caches = [[torch.empty(batch, heads, self.places.shape[0], width // heads) for _ in range(2)] for _ in self.blocks]
        written, start = [], 0
        for _ in range(tokens):
            x = self.embed(ids) + self.places[start : start + ids.shape[1]]
            for block, (keys, values) in zip(self.blocks, caches):
                x = block.evaluate(x, keys, values, start)
            start += ids.shape[1]
            ids = self.head(self.norm(x[:, -1:])).argmax(-1)
            written.append(ids)
        return torch.cat(written, 1).tolist()


def timed(run, rounds):
    until = time.perf_counter() + 2.5
    while time.perf_counter() < until:
        run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return times


def model_of(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.json")) as file:
        sizes = json.load(file)[name]
    torch.manual_seed(0)
    return Model(**sizes), sizes


def writer(name, texts, prompt, tokens):
    model, sizes = model_of(name)
    ids = torch.randint(0, sizes["vocabulary"], (texts, prompt or sizes["length"]))

    def run():
        with torch.inference_mode():
            return model.eval().write(ids, tokens)

    return run


def runner_of(kind, what):
    if kind == "matmul":
        return matmul_runner(int(what))
    if kind == "write":
        name, texts = what.split(":")
        return writer(name, int(texts), 16, 96)
    return writer(what, 1, None, 1) if kind == "prompt" else step_runner(what)


def step_runner(name):
    model, sizes = model_of(name)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    ids = torch.randint(0, sizes["vocabulary"], (sizes["batch"], sizes["length"] + 1))

    def run():
        logits, balance = model(ids[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, sizes["vocabulary"]), ids[:, 1:].reshape(-1)) + 0.01 * balance
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss.item()

    return run


def matmul_runner(size):
    x, y = torch.randn(size, size), torch.randn(size, size)
    return lambda: x @ y


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main():
    kind, what = sys.argv[1:3]
    threads, rounds = int(sys.argv[3]), int(sys.argv[5])
    torch.set_num_threads(threads)
    before = resident()
    run = runner_of(kind, what)
    times = timed(run, rounds)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    blas = "mkldnn" if torch.backends.mkldnn.is_available() else "blas"
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "threads": threads, "blas": os.path.realpath("/etc/alternatives/libblas.so.3-x86_64-linux-gnu") + ", " + blas, "ms": times, "peakBytes": peak, "workBytes": peak - before}))


main()
