"""Writes the .bin files of test/pretrained/files with the real PyTorch (Debian's python3-torch, 1.13), once; they are committed.

    apt-get install python3-torch && /usr/bin/python3 test/pretrained/make_bin.py test/pretrained/files

One JSON file beside them says which tensors each holds, as doubles.
"""

import collections
import io
import json
import os
import pickle
import sys
import zipfile

import torch

folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
torch.manual_seed(1)


def path(name):
    return os.path.join(folder, name)


table = torch.randn(6, 4)
tensors = collections.OrderedDict(
    float32=table,
    tied=table,
    transposed=table.t(),
    sliced=table[1:5:2, 1:3],
    row=table[2],
    float64=torch.randn(3).double(),
    float16=torch.tensor([1.5, -0.0, 65504.0, 6e-8, float("inf"), float("nan")]).half(),
    bfloat16=torch.tensor([1.0, -3.140625, 3.3895e38, 1e-40, float("-inf")]).bfloat16(),
    parameter=torch.nn.Parameter(torch.randn(2, 3)),
    scalar=torch.tensor(2.5),
    empty=torch.zeros(0, 3),
    int64=torch.tensor([1, -2, 3]),
)
torch.save(tensors, path("views.bin"))

# A real state_dict has an attribute, which the pickle sets by BUILD.
layer = torch.nn.Linear(3, 2)
torch.save(layer.state_dict(), path("state_dict.bin"))
torch.save(tensors, path("protocol4.bin"), pickle_protocol=4)

# The same entries, deflated, as a tool that repacks zips would write them.
with zipfile.ZipFile(path("views.bin")) as source, zipfile.ZipFile(path("deflated.bin"), "w", zipfile.ZIP_DEFLATED) as target:
    for entry in source.infolist():
        target.writestr(entry.filename, source.read(entry))

torch.save(collections.OrderedDict(a=table), path("old.bin"), _use_new_zipfile_serialization=False)


class Malicious:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


torch.save(collections.OrderedDict(a=Malicious()), path("malicious.bin"))
torch.save(layer, path("module.bin"))
torch.save({"state_dict": layer.state_dict(), "epoch": 3}, path("nested.bin"))


def numbers(tensor):
    def shown(x):
        return str(x) if x != x or x in (float("inf"), float("-inf")) or (x == 0 and str(x)[0] == "-") else x

    return {
        "dtype": str(tensor.dtype).replace("torch.", ""),
        "shape": list(tensor.shape),
        "data": [shown(x) for x in tensor.detach().contiguous().double().reshape(-1).tolist()],
    }


with open(path("tensors.json"), "w") as file:
    json.dump(
        {
            "views": {name: numbers(tensor) for name, tensor in tensors.items()},
            "state_dict": {name: numbers(tensor) for name, tensor in layer.state_dict().items()},
        },
        file,
    )
    file.write("\n")
