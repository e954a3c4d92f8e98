"""Short training loops, each with a habit of its own: `short_loops.py [NAME ...]`."""

import argparse
import copy
import math
import random
from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from cart_pole import CartPole
from digits import load, tensors
from torch.distributions import Categorical, MultivariateNormal, Normal
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, IterableDataset, Subset, WeightedRandomSampler

STEPS = 4


def springs():
    """Particles and springs, integrated in place; the starting positions are learnt."""
    start = nn.Parameter(torch.randn(2, 2))
    optimizer = torch.optim.Adam([start], lr=0.05)
    for _ in range(STEPS):
        optimizer.zero_grad()
        positions = torch.cat([torch.zeros(1, 2), start])
        velocities = torch.zeros(3, 2)
        for _ in range(4):
            forces = torch.zeros_like(positions)
            for i, j in [(0, 1), (1, 2)]:
                direction = positions[j] - positions[i]
                distance = direction.norm()
                force = 10.0 * (distance - 1.0) * direction / (distance + 1e-6)
                forces[i] += force
                forces[j] -= force
            forces[:, 1] -= 9.81
            velocities = velocities + 0.01 * forces
            positions = positions + 0.01 * velocities
            positions[0] = torch.zeros(2)
        loss = (positions - torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])).pow(2).mean()
        loss.backward()
        optimizer.step()
        yield loss


def tagger():
    """Packed sequences of unequal lengths in a bidirectional LSTM; padding is not counted."""
    embed = nn.Embedding(12, 8, padding_idx=0)
    lstm = nn.LSTM(8, 6, batch_first=True, bidirectional=True)
    head = nn.Linear(12, 3)
    parameters = [*embed.parameters(), *lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.RAdam(parameters, lr=0.05)
    sentences = [torch.randint(1, 12, (n,)) for n in (5, 2, 7, 4)]
    lengths = torch.tensor([len(s) for s in sentences])
    padded = pad_sequence(sentences, batch_first=True)
    tags = padded % 3
    for _ in range(STEPS):
        packed = pack_padded_sequence(embed(padded), lengths, True, enforce_sorted=False)
        output, (hidden, _) = lstm(packed)
        output, _ = pad_packed_sequence(output, batch_first=True)
        losses = F.cross_entropy(head(output).transpose(1, 2), tags, reduction="none")
        mask = torch.arange(padded.size(1))[None, :] < lengths[:, None]
        loss = losses[mask].mean() + 0.01 * hidden.abs().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def random_field():
    """A linear-chain conditional random field: the forward algorithm, and decoding."""
    transitions = nn.Parameter(torch.randn(4, 4))
    emit = nn.Linear(5, 4)
    optimizer = torch.optim.SGD([transitions, *emit.parameters()], lr=0.1, weight_decay=1e-4)
    features, tags = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 2, 1])
    for _ in range(STEPS):
        scores = emit(features)
        alpha = scores[0]
        for score in scores[1:]:
            alpha = torch.logsumexp(alpha[:, None] + transitions, dim=0) + score
        gold = scores[torch.arange(6), tags].sum() + transitions[tags[:-1], tags[1:]].sum()
        loss = torch.logsumexp(alpha, 0) - gold
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss
    best, back = scores[0].detach(), []
    for score in scores[1:].detach():
        best, where = (best[:, None] + transitions.detach()).max(dim=0)
        best = best + score
        back.append(where)
    path = [best.argmax().item()]
    for where in reversed(back):
        path.append(where[path[-1]].item())
    yield torch.tensor(path[::-1]).float().mean()


Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


def deep_q():
    """Deep Q-learning: a memory, masks of final states, a target network that follows slowly."""
    env, memory = CartPole(3), deque(maxlen=100)
    policy = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    target = copy.deepcopy(policy)
    target.load_state_dict(policy.state_dict())
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    rng = random.Random(0)
    state = torch.tensor(env.reset(), dtype=torch.float32).unsqueeze(0)
    for step in range(24):
        with torch.no_grad():
            action = policy(state).max(1).indices.view(1, 1)
        if rng.random() < 0.5:
            action = torch.tensor([[rng.randrange(2)]], dtype=torch.long)
        observed, reward, done = env.step(action.item())
        following = None if done else torch.tensor(observed, dtype=torch.float32).unsqueeze(0)
        memory.append(Transition(state, action, following, torch.tensor([reward])))
        state = following
        if done:
            state = torch.tensor(env.reset(), dtype=torch.float32).unsqueeze(0)
        if len(memory) < 12:
            continue
        batch = Transition(*zip(*rng.sample(memory, 8), strict=True))
        mask = torch.tensor(tuple(s is not None for s in batch.next_state), dtype=torch.bool)
        alive = torch.cat([s for s in batch.next_state if s is not None])
        values = policy(torch.cat(batch.state)).gather(1, torch.cat(batch.action))
        following_values = torch.zeros(8)
        with torch.no_grad():
            following_values[mask] = target(alive).max(1).values
        expected = following_values * 0.99 + torch.cat(batch.reward)
        loss = nn.SmoothL1Loss()(values, expected.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy.parameters(), 100)
        optimizer.step()
        slow, fast = target.state_dict(), policy.state_dict()
        for key in fast:
            slow[key] = fast[key] * 0.05 + slow[key] * 0.95
        target.load_state_dict(slow)
        if step % 4 == 0:
            yield loss


def proximal_policy():
    """A clipped policy objective with a normal distribution and its entropy."""
    actor, log_std = nn.Linear(3, 2), nn.Parameter(torch.zeros(2))
    critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    groups = [{"params": [*actor.parameters(), log_std], "lr": 3e-3}]
    groups.append({"params": critic.parameters(), "lr": 1e-2})
    optimizer = torch.optim.Adam(groups)
    states, returns = torch.randn(16, 3), torch.randn(16)
    with torch.no_grad():
        before = Normal(actor(states), log_std.exp())
        actions = before.sample()
        old = before.log_prob(actions).sum(-1)
        advantages = returns - critic(states).squeeze(-1)
    for _ in range(STEPS):
        now = Normal(actor(states), log_std.exp())
        ratio = torch.exp(now.log_prob(actions).sum(-1) - old)
        clipped = torch.clamp(ratio, 0.8, 1.2)
        gain = torch.min(ratio * advantages, clipped * advantages).mean()
        value = F.mse_loss(critic(states).squeeze(-1), returns)
        loss = -gain + 0.5 * value - 0.01 * now.entropy().sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def meta_learning():
    """Gradients of a loss after a step of gradient descent (model-agnostic meta-learning)."""
    net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(STEPS):
        optimizer.zero_grad()
        total = 0.0
        for amplitude in (0.5, 2.0):
            x = torch.rand(10, 1) * 6 - 3
            y = amplitude * torch.sin(x)
            fast = dict(net.named_parameters())
            inner = F.mse_loss(torch.func.functional_call(net, fast, (x[:5],)), y[:5])
            gradients = torch.autograd.grad(inner, list(fast.values()), create_graph=True)
            fast = {name: p - 0.1 * g for (name, p), g in zip(fast.items(), gradients, strict=True)}
            outer = F.mse_loss(torch.func.functional_call(net, fast, (x[5:],)), y[5:])
            total = total + outer
        total.backward()
        optimizer.step()
        yield total


def diffusion():
    """A denoising diffusion model: noise schedules, gathered by time steps."""
    betas = torch.linspace(1e-4, 0.02, 50)
    kept = torch.cumprod(1.0 - betas, dim=0)
    net = nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 1, 3, padding=1)
    )
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    images, _ = load(32)
    for step in range(STEPS):
        x = images[8 * step : 8 * (step + 1)] * 2 - 1
        t = torch.randint(0, 50, (8,))
        noise = torch.randn_like(x)
        level = kept.gather(0, t).view(-1, 1, 1, 1)
        noisy = level.sqrt() * x + (1 - level).sqrt() * noise
        time = (t.float() / 50).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
        loss = F.mse_loss(net(torch.cat([noisy, time], dim=1)), noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        yield loss


def transcription():
    """Connectionist temporal classification of short strings, with a one-cycle schedule."""
    net = nn.GRU(6, 12, num_layers=2, bidirectional=True)
    head = nn.Linear(24, 5)
    optimizer = torch.optim.SGD([*net.parameters(), *head.parameters()], lr=0.1, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=STEPS + 1)
    inputs = torch.randn(10, 3, 6)
    targets = torch.randint(1, 5, (3, 4))
    lengths, target_lengths = torch.tensor([10, 9, 8]), torch.tensor([4, 3, 2])
    criterion = nn.CTCLoss(blank=0, zero_infinity=True)
    for _ in range(STEPS):
        log_probs = head(net(inputs)[0]).log_softmax(2)
        loss = criterion(log_probs, targets, lengths, target_lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        yield loss


def distillation():
    """A student follows a frozen teacher's soft targets; hooks read the features."""
    features = {}

    def keep(name):
        return lambda module, inputs, output: features.__setitem__(name, output.detach())

    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    for parameter in teacher.parameters():
        parameter.requires_grad = False
    student = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    handle = teacher[2].register_forward_hook(keep("teacher"))
    optimizer = torch.optim.Adagrad(filter(lambda p: p.requires_grad, student.parameters()), 0.05)
    for images, labels in DataLoader(tensors(64), 16, shuffle=True):
        with torch.no_grad():
            soft = F.softmax(teacher(images) / 4.0, dim=1)
        output = student(images)
        loss = F.kl_div(F.log_softmax(output / 4.0, dim=1), soft, reduction="batchmean") * 16
        loss = loss + 0.5 * F.cross_entropy(output, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss + features["teacher"].mean() * 0
    handle.remove()


def contrast():
    """Two views of each image attract each other; all others repel (SimCLR)."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU())
    net.append(nn.Linear(32, 8))
    optimizer = torch.optim.Adamax(net.parameters(), lr=1e-2)
    images, _ = load(16)
    for _ in range(STEPS):
        views = [images + 0.1 * torch.randn_like(images) for _ in range(2)]
        z = F.normalize(net(torch.cat(views, dim=0)), dim=1)
        similarity = torch.matmul(z, z.T) / 0.5
        similarity.masked_fill_(torch.eye(32, dtype=torch.bool), -9e15)
        partner = torch.arange(32).roll(16)
        loss = F.cross_entropy(similarity, partner)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def flow():
    """Affine coupling layers with masks and log-determinants (RealNVP)."""
    scales = nn.ModuleList(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)) for _ in "ab")
    shifts = nn.ModuleList(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2)) for _ in "ab")
    masks = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    prior = MultivariateNormal(torch.zeros(2), torch.eye(2))
    optimizer = torch.optim.NAdam([*scales.parameters(), *shifts.parameters()], lr=1e-2)
    angle = torch.rand(32) * math.pi
    data = torch.stack([angle.cos(), angle.sin()], dim=1) + 0.1 * torch.randn(32, 2)
    for _ in range(STEPS):
        z, log_det = data, data.new_zeros(data.shape[0])
        for scale, shift, mask in zip(scales, shifts, masks, strict=True):
            masked = z * mask
            s, t = scale(masked) * (1 - mask), shift(masked) * (1 - mask)
            z = (1 - mask) * (z - t) * torch.exp(-s) + masked
            log_det -= s.sum(dim=1)
        loss = -(prior.log_prob(z) + log_det).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


class Quantize(torch.autograd.Function):
    """Rounds forward; lets gradients through backward, where they are small."""

    @staticmethod
    def forward(ctx, x, bound):
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.round()

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * (x.abs() <= ctx.bound).to(grad_output.dtype), None


def straight_through():
    """A custom function with a derivative of its own, and a vector-quantised code book."""
    encoder, decoder = nn.Linear(64, 4), nn.Linear(4, 64)
    book = nn.Embedding(8, 4)
    book.weight.data.uniform_(-1 / 8, 1 / 8)
    modules = nn.ModuleList([encoder, decoder, book])
    optimizer = torch.optim.RMSprop(modules.parameters(), lr=1e-3, centered=True)
    images = load(32)[0].flatten(1)
    for _ in range(STEPS):
        z = encoder(images)
        distances = torch.cdist(z, book.weight)
        codes = book(distances.argmin(dim=1))
        commitment = F.mse_loss(z, codes.detach()) + F.mse_loss(codes, z.detach())
        straight = z + (codes - z).detach()
        loss = F.mse_loss(decoder(straight) + Quantize.apply(z, 1.0).sum() * 0, images)
        loss = loss + 0.25 * commitment
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def scaled():
    """The loop of mixed precision, switched off; accumulated gradients; a resumed optimiser."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.GELU(), nn.Linear(16, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    scaler = torch.amp.GradScaler("cuda", enabled=False)
    loader = DataLoader(tensors(64), 8, shuffle=True)
    for i, (images, labels) in enumerate(loader):
        with torch.autocast("cpu", enabled=False):
            loss = F.cross_entropy(model(images), labels) / 2
        scaler.scale(loss).backward()
        if i % 2 == 1:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            scheduler.step()
        if i == 3:
            saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
            optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
            model.load_state_dict(saved[0])
            optimizer.load_state_dict(saved[1])
            scheduler.optimizer = optimizer
        yield loss


class Stream(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        rng = np.random.default_rng(0)
        for _ in range(self.count):
            x = rng.normal(size=3).astype(np.float32)
            yield {"x": x, "y": np.float32(x.sum() > 0), "name": "a row"}


def regularised():
    """A stream of dictionaries; weight and spectral norm; parameters in several groups."""
    from torch.nn.utils.parametrizations import spectral_norm, weight_norm

    net = nn.Sequential(weight_norm(nn.Linear(3, 8)), nn.ELU(), spectral_norm(nn.Linear(8, 1)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9, nesterov=True)
    for batch in DataLoader(Stream(32), batch_size=8):
        logits = net(batch["x"]).squeeze(-1)
        weight = 1 + batch["y"]
        loss = F.binary_cross_entropy_with_logits(logits, batch["y"], weight=weight)
        loss = loss + 1e-3 * sum(p.pow(2).sum() for p in net.parameters())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def balanced():
    """Few examples of some classes: weights for the sampler and for the loss (focal)."""
    data = Subset(tensors(200), list(range(0, 200, 2)))
    labels = torch.stack([data[i][1] for i in range(len(data))])
    counts = torch.bincount(labels, minlength=10).float()
    sampler = WeightedRandomSampler((1.0 / counts)[labels], num_samples=64, replacement=True)
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(16), nn.PReLU(), nn.LazyLinear(10))
    net(torch.zeros(1, 1, 8, 8))
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0)
    for images, target in DataLoader(data, 16, sampler=sampler):
        log_p = F.log_softmax(net(images), dim=-1)
        ce = F.nll_loss(log_p, target, weight=1 / counts.clamp(min=1), reduction="none")
        p = log_p[torch.arange(len(target)), target].exp()
        loss = ((1 - p) ** 2 * ce).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def generation():
    """Sampling with a cache of keys and values, nucleus and temperature."""
    embed, head = nn.Embedding(10, 8), nn.Linear(8, 10)
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    tokens = torch.zeros(1, 1, dtype=torch.long)
    cache = torch.empty(1, 0, 8)
    with torch.inference_mode():
        for _ in range(6):
            new = embed(tokens[:, -1:])
            cache = torch.cat([cache, new], dim=1)
            out, _ = attention(new, cache, cache, need_weights=False)
            logits = head(out[:, -1]) / 0.8
            ordered, places = torch.sort(logits, descending=True)
            over = ordered.softmax(-1).cumsum(-1) > 0.9
            over[..., 1:] = over[..., :-1].clone()
            over[..., 0] = False
            logits = logits.masked_fill(over.scatter(1, places, over), float("-inf"))
            token = Categorical(logits=logits).sample().unsqueeze(1)
            tokens = torch.cat([tokens, token], dim=1)
    yield tokens.float().mean()
    yield cache.sum()


LOOPS = {
    loop.__name__: loop
    for loop in (
        springs,
        tagger,
        random_field,
        deep_q,
        proximal_policy,
        meta_learning,
        diffusion,
        transcription,
        distillation,
        contrast,
        flow,
        straight_through,
        scaled,
        regularised,
        balanced,
        generation,
    )
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    for name in args.names or LOOPS:
        torch.manual_seed(0)
        for loss in LOOPS[name]():
            print(f"{name} loss {loss.item():.8g}")


if __name__ == "__main__":
    main()
