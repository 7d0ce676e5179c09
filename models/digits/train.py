#!/usr/bin/env python3
"""Trains the two networks of this folder on scikit-learn's handwritten digits and writes everything that is committed here.

    pip install torch onnx onnxscript onnxruntime scikit-learn
    models/digits/train.py                          writes models/digits/ and models/digits_mlp/ (about 20 seconds on one core)

The split is fixed (stratified, a quarter held out, seed 0), so are the seeds; on one version of the packages a second run gives
the same bytes. Nothing of the held-out quarter is looked at before the last line, which prints its accuracy.
"""
import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

MODELS = pathlib.Path(__file__).resolve().parent.parent


class Digits(nn.Module):
    """3x3 convolutions 1 -> 16 -> 32 -> 32 with ReLU, two 2x2 max pools (8x8 -> 4x4 -> 2x2) and one linear layer."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.classifier = nn.Linear(32 * 2 * 2, 10)
        self.dropout = nn.Dropout(0.3)  # identity in the exported model

    def forward(self, image):
        x = torch.relu(self.conv1(image))
        x = torch.relu(self.conv2(x))
        x = nn.functional.max_pool2d(x, 2)
        x = torch.relu(self.conv3(x))
        x = nn.functional.max_pool2d(x, 2)
        return self.classifier(self.dropout(torch.flatten(x, 1)))


class DigitsMlp(nn.Module):
    """64 -> 48 -> 10 with a ReLU: the second model, for tests that need two."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(64, 48)
        self.classifier = nn.Linear(48, 10)
        self.dropout = nn.Dropout(0.1)

    def forward(self, image):
        return self.classifier(self.dropout(torch.relu(self.hidden(torch.flatten(image, 1)))))


def augmented(images, generator):
    """Each image moved by up to half a pixel, turned by up to 10 degrees and scaled by up to 10% (bilinear)."""
    n = images.shape[0]
    angle = (torch.rand(n, generator=generator) * 2 - 1) * (10 * torch.pi / 180)
    scale = 1 + (torch.rand(n, generator=generator) * 2 - 1) * 0.1
    shift = (torch.rand(n, 2, generator=generator) * 2 - 1) * (0.5 / 4)  # grid_sample: the image spans [-1, 1], a pixel 1/4
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = nn.functional.affine_grid(theta, images.shape, align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(network, images, labels, epochs, rate):
    """Adam with a cosine schedule and weight decay; batches of 64."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    network.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(images), generator=generator).split(64):
            loss = nn.functional.cross_entropy(network(augmented(images[batch], generator)), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    network.eval()
    return network


def export(network, path):
    """Opset 18, weights inside the file, one symbolic dim `batch`; names as a user reads them; no trace of where it was made."""
    torch.onnx.export(network, (torch.zeros(2, 1, 8, 8),), path, input_names=["image"], output_names=["logits"],
                      dynamic_shapes={"image": {0: torch.export.Dim("batch")}}, opset_version=18, dynamo=True,
                      external_data=False, verbose=False)
    model = onnx.load(path)
    model.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in list(model.graph.input) + list(model.graph.output) + list(model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    model.graph.name = path.stem
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_case(folder, number, image, logits):
    """One ONNX test case: input_0.pb, output_0.pb."""
    case = folder / f"test_data_set_{number}"
    case.mkdir(parents=True, exist_ok=True)
    (case / "input_0.pb").write_bytes(numpy_helper.from_array(image, "image").SerializeToString(deterministic=True))
    (case / "output_0.pb").write_bytes(numpy_helper.from_array(logits, "logits").SerializeToString(deterministic=True))


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    data = load_digits()
    pixels = data.images.astype(np.uint8)  # 0..16; the networks take pixel / 16
    train_x, test_x, train_y, test_y = train_test_split(pixels, data.target, test_size=0.25, random_state=0,
                                                        stratify=data.target)
    images = torch.from_numpy(train_x).float().unsqueeze(1) / 16
    labels = torch.from_numpy(train_y)
    for name, kind, epochs, rate in [("digits", Digits, 150, 3e-3), ("digits_mlp", DigitsMlp, 150, 5e-3)]:
        torch.manual_seed(0)
        folder = MODELS / name
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.onnx"
        export(train(kind(), images, labels, epochs, rate), path)

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        held_out = test_x.astype(np.float32)[:, None] / 16
        logits = session.run(None, {"image": held_out})[0]
        for number, rows in enumerate([slice(0, 1), slice(1, 6)]):  # one image; five, for the symbolic batch
            write_case(folder, number, held_out[rows], session.run(None, {"image": held_out[rows]})[0])
        predicted = logits.argmax(1).astype(np.uint8)
        if name == "digits":
            np.save(folder / "test_images.npy", test_x)
            np.save(folder / "test_labels.npy", test_y.astype(np.uint8))
        np.save(folder / "test_predictions.npy", predicted)  # ONNX Runtime's, to compare with
        print(f"{name}: {(predicted == test_y).mean():.4f} of {len(test_y)} held-out digits")


if __name__ == "__main__":
    main()
