"""Three models from papers: from the same seed, the same losses over 20 steps of training."""

import itertools

import numpy as np
import pytest

from tests.nn.agree import assert_agree

STEPS = 20
# Rounding errors of float32 grow from step to step; chaotic players (the GAN's) faster.
TRAINED = 1e-4


def images(t, count, channels, size):
    """Discs of random places and radii, and where they are."""
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:size, :size]
    pictures = generator.normal(0, 0.3, (count, channels, size, size))
    masks = np.zeros((count, 1, size, size))
    for picture, mask in zip(pictures, masks, strict=True):
        row, column, radius = generator.uniform(size / 4, size * 3 / 4, 3)
        mask[0] = (rows - row) ** 2 + (columns - column) ** 2 < radius**2 / 2
        picture += mask[0]
    return t.tensor(pictures, dtype=t.float32), t.tensor(masks, dtype=t.float32)


def unet(t):
    """Segmentation by a U-Net (Ronneberger et al. 2015, arXiv:1505.04597)."""
    nn = t.nn

    class Double(nn.Sequential):
        def __init__(self, inside, outside):
            layers = []
            for channels in (inside, outside):
                layers += [
                    nn.Conv2d(channels, outside, 3, padding=1, bias=False),
                    nn.BatchNorm2d(outside),
                    nn.ReLU(inplace=True),
                ]
            super().__init__(*layers)

    class UNet(nn.Module):
        def __init__(self, channels=(2, 4, 8, 16)):
            super().__init__()
            pairs = list(itertools.pairwise(channels))
            self.down = nn.ModuleList(Double(a, b) for a, b in pairs)
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in reversed(pairs[1:])
            )
            self.join = nn.ModuleList(Double(2 * a, a) for a, b in reversed(pairs[1:]))
            self.head = nn.Conv2d(channels[1], 1, 1)

        def forward(self, x):
            skipped = []
            for level, block in enumerate(self.down):
                x = block(t.nn.functional.max_pool2d(x, 2) if level else x)
                skipped.append(x)
            for up, join, skip in zip(self.up, self.join, reversed(skipped[:-1]), strict=True):
                x = join(t.cat([skip, up(x)], dim=1))
            return self.head(x)

    t.manual_seed(1)
    model = UNet()
    optimizer = t.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    pictures, masks = images(t, 8, 2, 12)
    losses = []
    for step in range(STEPS):
        rows = slice(4 * (step % 2), 4 * (step % 2) + 4)
        scores = model(pictures[rows])
        overlap = (scores.sigmoid() * masks[rows]).sum()
        dice = 1 - 2 * overlap / (scores.sigmoid().sum() + masks[rows].sum())
        loss = t.nn.functional.binary_cross_entropy_with_logits(scores, masks[rows]) + dice
        optimizer.zero_grad()
        loss.backward()
        t.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


def sentences(t, count, longest, words):
    """Sequences of several lengths; the target is the sequence backwards."""
    generator = np.random.default_rng(0)
    lengths = generator.integers(2, longest + 1, count)
    source = np.zeros((count, longest), np.int64)
    target = np.zeros((count, longest), np.int64)
    for row, length in enumerate(lengths):
        source[row, :length] = generator.integers(1, words, length)
        target[row, :length] = source[row, :length][::-1]
    return t.tensor(source), t.tensor(target), t.tensor(lengths)


def translated(t, make):
    """The losses of a model that maps (sources, targets shifted, lengths) to scores of words."""
    words = 7
    t.manual_seed(2)
    model = make(t, words)
    optimizer = t.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.98))
    schedule = t.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 5, 1))
    criterion = t.nn.CrossEntropyLoss(ignore_index=0, label_smoothing=0.1)
    source, target, lengths = sentences(t, 6, 5, words)
    shifted = t.nn.functional.pad(target[:, :-1], (1, 0), value=words)
    losses = []
    for _ in range(STEPS):
        scores = model(source, shifted, lengths)
        loss = criterion(scores.flatten(0, 1), target[:, : scores.shape[1]].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def transformer(t, words):
    """Attention is all you need (Vaswani et al. 2017, arXiv:1706.03762)."""
    nn = t.nn

    class Translator(nn.Module):
        def __init__(self, width=8):
            super().__init__()
            self.words = nn.Embedding(words + 1, width, padding_idx=0)
            self.places = nn.Parameter(t.randn(1, 8, width) * 0.02)
            self.transformer = nn.Transformer(width, 2, 1, 1, 16, batch_first=True, norm_first=True)
            self.head = nn.Linear(width, words)

        def forward(self, source, shifted, lengths):
            length = source.shape[1]
            mask = nn.Transformer.generate_square_subsequent_mask(length)
            hidden = self.transformer(
                self.words(source) + self.places[:, :length],
                self.words(shifted) + self.places[:, :length],
                tgt_mask=mask == float("-inf"),
                src_key_padding_mask=source == 0,
                memory_key_padding_mask=source == 0,
                tgt_is_causal=True,
            )
            return self.head(hidden)

    return Translator()


def packed_lstm(t, words):
    """Sequence to sequence by packed LSTMs (Sutskever et al. 2014, arXiv:1409.3215)."""
    nn = t.nn

    class Translator(nn.Module):
        def __init__(self, width=6):
            super().__init__()
            self.words = nn.Embedding(words + 1, width)
            self.encoder = nn.LSTM(
                width, width, num_layers=2, dropout=0.2, bidirectional=True, batch_first=True
            )
            self.decoder = nn.LSTM(width, 2 * width, batch_first=True, num_layers=2)
            self.head = nn.Linear(2 * width, words)

        def forward(self, source, shifted, lengths):
            pack = nn.utils.rnn.pack_padded_sequence
            packed = pack(self.words(source), lengths, batch_first=True, enforce_sorted=False)
            _, states = self.encoder(packed)
            joined = tuple(t.cat([s[0::2], s[1::2]], dim=2) for s in states)
            packed = pack(self.words(shifted), lengths, batch_first=True, enforce_sorted=False)
            hidden, _ = self.decoder(packed, joined)
            return self.head(nn.utils.rnn.pad_packed_sequence(hidden, batch_first=True)[0])

    return Translator()


def gan(t):
    """DCGAN (Radford et al. 2016, arXiv:1511.06434), the critic with spectral norm."""
    nn, spectral_norm = t.nn, t.nn.utils.parametrizations.spectral_norm
    t.manual_seed(3)
    generator = nn.Sequential(
        nn.ConvTranspose2d(4, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(True),
        nn.ConvTranspose2d(8, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    critic = nn.Sequential(
        spectral_norm(nn.Conv2d(1, 8, 4, 2, 1)),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Dropout2d(0.2),
        spectral_norm(nn.Conv2d(8, 1, 3)),
        nn.Flatten(0),
    )

    def initialise(module):
        if isinstance(module, nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)

    generator.apply(initialise)
    players = [
        t.optim.Adam(module.parameters(), lr=2e-3, betas=(0.5, 0.999))
        for module in (generator, critic)
    ]
    criterion = nn.BCEWithLogitsLoss()
    real = images(t, 4, 1, 6)[0].clamp(-1, 1)
    losses = []
    for _ in range(STEPS):
        fake = generator(t.randn(4, 4, 1, 1))
        players[1].zero_grad()
        ones, zeros = t.ones(4), t.zeros(4)
        critic_loss = criterion(critic(real), ones) + criterion(critic(fake.detach()), zeros)
        critic_loss.backward()
        players[1].step()
        players[0].zero_grad()
        generator_loss = criterion(critic(fake), ones)
        generator_loss.backward()
        players[0].step()
        losses += [critic_loss.item(), generator_loss.item()]
    return losses


PROGRAMS = {
    "U-Net": unet,
    "Transformer": lambda t: translated(t, transformer),
    "packed LSTM": lambda t: translated(t, packed_lstm),
    "GAN": gan,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_same_losses(name):
    losses = assert_agree(PROGRAMS[name], TRAINED)
    assert len(losses) % STEPS == 0
    assert losses[-1] < losses[0]
