"""From gradient descent by hand to a trained network: plain PyTorch, and linnet beside it.

Run it with

    python examples/tutorial.py [FOLDER] [--epochs 400]

It prints what it measures and writes its pictures into FOLDER (./tutorial-pictures). Read it from
top to bottom; the steps are

    1. gradient descent by hand, on a loss of two weights
    2. data: the function sin(r)/r on a grid of points
    3. a network
    4. the loop by hand
    5. linnet.train, with the same objects
    6. MLPRegressor, in three lines
    7. pictures, and the three ways side by side

Letters: N rows, D inputs, K outputs, E epochs.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

import linnet

parser = argparse.ArgumentParser(description="Gradient descent, PyTorch and linnet, side by side.")
parser.add_argument("folder", nargs="?", default="tutorial-pictures", type=Path)
parser.add_argument("--epochs", type=int, default=400, help="epochs of steps 4 to 6 (400)")
parser.add_argument("--seed", type=int, default=0, help="decides everything random (0)")
options = parser.parse_args()
options.folder.mkdir(parents=True, exist_ok=True)

# So small a network gains nothing from a second thread, and on a busy computer it loses much.
# linnet sees to that itself; for a fair race the loop by hand gets one thread too.
torch.set_num_threads(1)


def write_picture(figure, name):
    figure.savefig(options.folder / name, dpi=800 / figure.get_figwidth())  # 800 pixels wide
    plt.close(figure)


# 1. Gradient descent by hand --------------------------------------------------------------------
#
# A line  f(x) = a x + b  has two weights, w = (a, b), so its loss can be drawn as a landscape:
#
#     L(w) = mean over the points of (a x + b - y)²
#
# The gradient points straight uphill. Gradient descent takes a step against it, again and again:
#
#     w  <-  w - rate * gradient
#
# How long a step is, the learning rate decides.

line_x = np.linspace(-1, 2, 7)
line_y = 2 * line_x - 1 + np.array([0.3, -0.2, 0.1, -0.3, 0.2, 0.1, -0.2])
start = np.array([-1.5, 2.0])
N_STEPS = 25


def line_loss(a, b):
    """The loss of the line a x + b; a and b may be arrays of one shape."""
    errors = np.multiply.outer(a, line_x) + np.expand_dims(b, -1) - line_y
    return (errors**2).mean(axis=-1)


def line_gradient(w):
    """The slopes of the loss along a and along b, by the chain rule."""
    errors = w[0] * line_x + w[1] - line_y
    return np.array([(2 * errors * line_x).mean(), (2 * errors).mean()])


def descend(rate):
    """The weights before each step and after the last one, (N_STEPS + 1, 2)."""
    path = [start]
    for _ in range(N_STEPS):
        path.append(path[-1] - rate * line_gradient(path[-1]))
    return np.array(path)


RATES = {"too low": 0.02, "good": 0.3, "too high": 0.63}
paths = {word: descend(rate) for word, rate in RATES.items()}
least = np.polyfit(line_x, line_y, 1)  # where the valley is deepest: least squares

# Nobody has to work gradients out by hand: a tensor that requires them remembers what was done
# with it, and backward() goes through that record from the end to the beginning, by the chain rule.
w = torch.tensor(start, requires_grad=True)
loss = ((w[0] * torch.tensor(line_x) + w[1] - torch.tensor(line_y)) ** 2).mean()
loss.backward()

# The same descent in linnet: a line is the smallest network, nn.Linear(1, 1), and a batch of all
# points makes a step the step above. on_epoch is called after each epoch.
line = nn.Linear(1, 1).double()
with torch.no_grad():
    line.weight.fill_(start[0])
    line.bias.fill_(start[1])
linnet_path = [start]
linnet.train(
    line,
    line_x.reshape(-1, 1),
    line_y.reshape(-1, 1),
    loss="squared_error",
    optimizer=torch.optim.SGD(line.parameters(), lr=RATES["good"]),
    epochs=N_STEPS,
    batch_size=len(line_x),
    on_epoch=lambda history: linnet_path.append(np.array([line.weight.item(), line.bias.item()])),
)

print("1. Gradient descent on a line a x + b")
print(f"   least squares        a {least[0]:6.3f}  b {least[1]:6.3f}  loss {line_loss(*least):.4f}")
for word, path in paths.items():
    a, b = path[-1]
    rate = f"rate {RATES[word]:.2f}, {word}"
    print(f"   {rate:20} a {a:6.3f}  b {b:6.3f}  loss {line_loss(a, b):.4f}")
difference = np.abs(w.grad.numpy() - line_gradient(start)).max()
print(f"   by hand and by autograd, the first gradient differs by {difference:.0e}")
difference = np.abs(np.array(linnet_path) - paths["good"]).max()
print(f"   by hand and by linnet.train, the paths differ by at most {difference:.0e}")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.9), sharey=True, layout="constrained")
side_a, side_b = np.linspace(-2.2, 5.2, 121), np.linspace(-4.2, 2.6, 121)
landscape = line_loss(*np.meshgrid(side_a, side_b))
levels = np.geomspace(landscape.min(), landscape.max(), 14)
for ax, (word, path) in zip(axes, paths.items(), strict=True):
    ax.contour(side_a, side_b, landscape, levels, cmap="Greys_r", linewidths=0.8)
    ax.plot(*path.T, ".-", color="#0072B2", linewidth=1.2, markersize=6, label="descent")
    ax.plot(*path[0], "s", color="#0072B2", markersize=7, label="start")
    ax.plot(*least, "*", color="#D55E00", markersize=14, label="least loss")
    ax.set(title=f"rate {RATES[word]}: {word}", xlabel="slope a")
    ax.set(xlim=side_a[[0, -1]], ylim=side_b[[0, -1]])
axes[0].set_ylabel("intercept b")
handles, names = axes[0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
write_picture(figure, "descent.png")

# 2. Data ----------------------------------------------------------------------------------------
#
# A network is to learn the function  g(x) = sin(r) / r,  r the distance of x from the origin, from
# its values on a grid of 50 by 50 points. Its inputs are standardised: mean 0, deviation 1.


def ripple(points):
    """sin(r)/r for points (N, 2), as (N,)."""
    r = np.hypot(points[:, 0], points[:, 1])
    return np.sinc(r / np.pi)  # numpy's sinc(t) is sin(pi t) / (pi t), and 1 at 0


def square(n_side):
    """The points of a grid over [-10, 10]², as (n_side², 2)."""
    side = np.linspace(-10, 10, n_side)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


X = square(50)  # (N, D) = (2500, 2)
y = ripple(X)  # (N,)
mean, deviation = X.mean(axis=0), X.std(axis=0)


class Points(Dataset):
    """Inputs and targets as PyTorch wants them: a length, and an item for each row."""

    def __init__(self, X, y):
        self.inputs = torch.tensor((X - mean) / deviation, dtype=torch.float32)  # (N, D)
        self.targets = torch.tensor(y, dtype=torch.float32).reshape(-1, 1)  # (N, K), never (N,)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, row):
        return self.inputs[row], self.targets[row]


points = Points(X, y)

# 3. A network -----------------------------------------------------------------------------------
#
# Two inputs, 80 hidden neurons, one output; tanh after both layers, as g lies between -1 and 1.
# linnet.network.mlp(2, (80,), 1, activation="tanh", output_activation="tanh",
# initialization="torch") builds the same one from its sizes.


class Net(nn.Module):
    def __init__(self, n_inputs, n_hidden, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_inputs, n_hidden)
        self.second = nn.Linear(n_hidden, n_outputs)

    def forward(self, x):  # (B, D) -> (B, K)
        return torch.tanh(self.second(torch.tanh(self.first(x))))


torch.manual_seed(options.seed)
net_by_hand = Net(2, 80, 1)
net_by_linnet = copy.deepcopy(net_by_hand)  # both begin with the same weights

# 4. The loop by hand ----------------------------------------------------------------------------
#
# An epoch is one pass over all rows, in a new order. A DataLoader deals them out in batches of 200,
# and each batch gives one step. Adam is gradient descent that adapts the step for each weight.

loader = DataLoader(points, batch_size=200, shuffle=True)
objective = nn.MSELoss()
optimizer = torch.optim.Adam(net_by_hand.parameters(), lr=1e-2)

losses_by_hand = []
started = time.perf_counter()
for _ in range(options.epochs):
    total = 0.0
    for inputs, targets in loader:
        loss = objective(net_by_hand(inputs), targets)  # forward
        optimizer.zero_grad()
        loss.backward()  # backward
        optimizer.step()  # update
        total += loss.item() * len(inputs)
    losses_by_hand.append(total / len(points))
seconds_by_hand = time.perf_counter() - started

# 5. linnet.train, with the same objects ---------------------------------------------------------
#
# The loop is one call. The Dataset is read once, not once an epoch. The forward is followed once,
# and as its layers are known it trains in C++, by the same steps. The history keeps losses, rates,
# gradient norms, times, the engine, and why it ended.

started = time.perf_counter()
history = linnet.train(
    net_by_linnet,
    points,
    loss=nn.MSELoss(),
    optimizer=torch.optim.Adam(net_by_linnet.parameters(), lr=1e-2),
    epochs=options.epochs,
    batch_size=200,
    random_state=options.seed,
)
seconds_by_train = time.perf_counter() - started

# 6. MLPRegressor, in three lines ----------------------------------------------------------------
#
# It takes the raw points: it standardises X and y, and predicts in the units of y. As y is
# standardised, no tanh bounds the output here. The arguments say what steps 3 to 5 said;
# initialization="torch" lets weights begin as those of nn.Linear do, and n_iter_no_change=inf asks
# for every epoch.

started = time.perf_counter()
model = linnet.MLPRegressor(
    (80,),
    activation="tanh",
    initialization="torch",
    learning_rate_init=1e-2,
    batch_size=200,
    max_iter=options.epochs,
    n_iter_no_change=np.inf,
    random_state=options.seed,
)
model.fit(X, y)
y_predicted = model.predict(X)
seconds_by_model = time.perf_counter() - started

# 7. Pictures, and the three ways side by side ---------------------------------------------------
#
# A fair judge of all three: the error on a finer grid, most of whose points none of them has seen.

fine = square(100)
truth = ripple(fine)
with torch.no_grad():
    surfaces = {
        "loop by hand": net_by_hand(Points(fine, truth).inputs).numpy().ravel(),
        "linnet.train": net_by_linnet(Points(fine, truth).inputs).numpy().ravel(),
        "MLPRegressor": model.predict(fine),
    }
last_losses = {
    "loop by hand": losses_by_hand[-1],
    "linnet.train": history.train_loss[-1],
    # Its loss is of standardised y: times the variance of y it compares with the others.
    "MLPRegressor": model.loss_curve_[-1] * y.var(),
}
seconds = [seconds_by_hand, seconds_by_train, seconds_by_model]

print(f"\n2. to 7. sin(r)/r on {len(X):,} points, {options.epochs} epochs")
print("   way           last loss   mean squared error   largest error   seconds")
for (way, surface), elapsed in zip(surfaces.items(), seconds, strict=True):
    errors = surface - truth
    print(
        f"   {way}  {last_losses[way]:10.6f}   {(errors**2).mean():18.6f}"
        f"   {np.abs(errors).max():13.4f}   {elapsed:7.2f}"
    )
print(f"   linnet.train ended: {history.outcome.sentence}")
print(f"   Engine {history.engine}: {history.engine_reason}")
print(f"   MLPRegressor fits its own points to within {np.abs(y_predicted - y).max():.3f}")

# The loss curve: by hand two lines of matplotlib, and from a history one.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.semilogy(np.arange(1, options.epochs + 1), losses_by_hand, color="#0072B2")
left.set(xlabel="epoch", ylabel="mean squared error (log scale)", title="loop by hand")
linnet.LossCurveDisplay.from_history(history, ax=right)
right.sharey(left)
write_picture(figure, "loss.png")

# The surface: by hand again, three panels on one colour scale ...
figure, axes = plt.subplots(1, 3, figsize=(9, 3.1), sharey=True, layout="constrained")
limits = {"vmin": y.min(), "vmax": y.max()}
extent = (-10, 10, -10, 10)
axes[0].scatter(*X.T, c=y, s=1.5, **limits)
axes[1].imshow(truth.reshape(100, 100), origin="lower", extent=extent, **limits)
network = surfaces["loop by hand"].reshape(100, 100)
image = axes[2].imshow(network, origin="lower", extent=extent, **limits)
for ax, title in zip(axes, ("training points", "sin(r)/r", "loop by hand"), strict=True):
    ax.set(title=title, xlabel="x1", xticks=[-10, 0, 10], yticks=[-10, 0, 10], aspect="equal")
    ax.set(xlim=(-10, 10), ylim=(-10, 10))
axes[0].set_ylabel("x2")
figure.colorbar(image, ax=axes, label="y", shrink=0.9)
write_picture(figure, "surface-by-hand.png")

# ... and as a display, with the error as the fourth panel.
display = linnet.SurfaceDisplay.from_estimator(
    model,
    X,
    y,
    function=ripple,
    feature_names=["x1", "x2"],
    target_name="y",
    data_name="training points",
)
write_picture(display.figure_, "surface.png")

print(f"\nPictures: {', '.join(sorted(p.name for p in options.folder.glob('*.png')))}")
print(f"in {options.folder}/")
