"""PyTorch's side of the benchmark: one training step of the Switch language model, and matrix products.

Usage: python3 pytorch.py step MODEL THREADS BLAS_THREADS ROUNDS | python3 pytorch.py matmul SIZE THREADS BLAS_THREADS ROUNDS
Prints one JSON line. The model is the one in models.json: learned positions, pre-norm LayerNorm, every feed-forward a Switch
layer (top-1, ReLU, no bias in experts), capacity ceil(1.25 tokens / experts) over the whole batch, balance loss 0.01, clipping at 1, Adam.
Tokens reach their slots by index (no one-hot dispatch), the experts are one batched product: its best form on a CPU.
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


def step_runner(name):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "models.json")) as file:
        sizes = json.load(file)[name]
    torch.manual_seed(0)
    model = Model(**sizes)
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
    run = step_runner(what) if kind == "step" else matmul_runner(int(what))
    times = timed(run, rounds)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    blas = "mkldnn" if torch.backends.mkldnn.is_available() else "blas"
    print(json.dumps({"peer": f"PyTorch {torch.__version__}", "threads": threads, "blas": os.path.realpath("/etc/alternatives/libblas.so.3-x86_64-linux-gnu") + ", " + blas, "ms": times, "peakBytes": peak, "workBytes": peak - before}))


main()
