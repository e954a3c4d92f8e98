"""The networks of the speed benchmarks, written once for both libraries.

`build(torch, name)` makes a network and its inputs with whichever library it is given.
"""

import importlib


def build(torch, name, training):
    """The network of a case, and a function that gives a batch of inputs."""
    nn = torch.nn
    functional = importlib.import_module(f"{torch.__name__}.nn.functional")
    torch.manual_seed(0)
    return CASES[name](torch, nn, functional, training)


def mlp(torch, nn, F, training):
    model = nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    return model, lambda: (torch.randn(64, 784), torch.randint(0, 10, (64,)))


def lenet(torch, nn, F, training):
    model = nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(3136, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )
    return model, lambda: (torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,)))


def resnet18(torch, nn, F, training):
    def convolution(i, o, stride=1, size=3):
        return nn.Conv2d(i, o, size, stride, size // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, i, o, stride):
            super().__init__()
            self.body = nn.Sequential(
                convolution(i, o, stride),
                nn.BatchNorm2d(o),
                nn.ReLU(),
                convolution(o, o),
                nn.BatchNorm2d(o),
            )
            self.shortcut = nn.Identity()
            if stride != 1 or i != o:
                self.shortcut = nn.Sequential(convolution(i, o, stride, 1), nn.BatchNorm2d(o))

        def forward(self, x):
            return F.relu(self.body(x) + self.shortcut(x))

    layers = [convolution(3, 64), nn.BatchNorm2d(64), nn.ReLU()]
    width = 64
    for out, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(width, out, stride), Block(out, out, 1)]
        width = out
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return model, lambda: (torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)))


def mobilenet(torch, nn, F, training):
    class Inverted(nn.Module):
        def __init__(self, i, o, stride, expansion):
            super().__init__()
            hidden = i * expansion
            self.residual = stride == 1 and i == o
            self.body = nn.Sequential(
                nn.Conv2d(i, hidden, 1, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU6(),
                nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                nn.BatchNorm2d(hidden),
                nn.ReLU6(),
                nn.Conv2d(hidden, o, 1, bias=False),
                nn.BatchNorm2d(o),
            )

        def forward(self, x):
            return x + self.body(x) if self.residual else self.body(x)

    layers = [nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()]
    width = 32
    for out, stride, count in ((16, 1, 1), (24, 1, 2), (32, 2, 3), (64, 2, 3), (96, 1, 2)):
        for number in range(count):
            layers.append(Inverted(width, out, stride if number == 0 else 1, 6))
            width = out
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10))
    return model, lambda: (torch.randn(16, 3, 32, 32), torch.randint(0, 10, (16,)))


def resnext_block(torch, nn, F, training):
    class Block(nn.Module):
        def __init__(self, width, groups):
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(width, width // 2, 1, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(),
                nn.Conv2d(width // 2, width // 2, 3, 1, 1, groups=groups, bias=False),
                nn.BatchNorm2d(width // 2),
                nn.ReLU(),
                nn.Conv2d(width // 2, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )

        def forward(self, x):
            return F.relu(x + self.body(x))

    model = nn.Sequential(
        Block(256, 32), Block(256, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)
    )
    return model, lambda: (torch.randn(16, 256, 16, 16), torch.randint(0, 10, (16,)))


def recurrent(kind):
    def make(torch, nn, F, training):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = getattr(nn, kind)(128, 256, batch_first=True)
                self.head = nn.Linear(256, 10)

            def forward(self, x):
                return self.head(self.layer(x)[0][:, -1])

        return Net(), lambda: (torch.randn(32, 64, 128), torch.randint(0, 10, (32,)))

    return make


def transformer(torch, nn, F, training):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.1, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
            self.head = nn.Linear(256, 10)

        def forward(self, x):
            return self.head(self.encoder(x).mean(1))

    return Net(), lambda: (torch.randn(16, 128, 256), torch.randint(0, 10, (16,)))


def gpt(torch, nn, F, training):
    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(
                nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
            )

        def forward(self, x):
            b, t, c = x.shape
            q, k, v = (
                part.view(b, t, self.heads, c // self.heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).chunk(3, dim=-1)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
            return x + self.mlp(self.norm2(x))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(1024, 256), nn.Embedding(128, 256)
            self.blocks = nn.Sequential(*[Block(256, 4) for _ in range(4)])
            self.norm, self.head = nn.LayerNorm(256), nn.Linear(256, 1024, bias=False)

        def forward(self, tokens):
            x = self.tokens(tokens) + self.places(torch.arange(tokens.size(1)))
            logits = self.head(self.norm(self.blocks(x)))
            return logits.view(-1, 1024)

    return Net(), lambda: (
        torch.randint(0, 1024, (8, 128)),
        torch.randint(0, 1024, (8 * 128,)),
    )


def unet(torch, nn, F, training):
    def double(i, o):
        return nn.Sequential(
            nn.Conv2d(i, o, 3, padding=1, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
            nn.Conv2d(o, o, 3, padding=1, bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
        )

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down1, self.down2, self.middle = double(3, 32), double(32, 64), double(64, 128)
            self.up2, self.up1 = (
                nn.ConvTranspose2d(128, 64, 2, 2),
                nn.ConvTranspose2d(64, 32, 2, 2),
            )
            self.merge2, self.merge1 = double(128, 64), double(64, 32)
            self.head = nn.Conv2d(32, 4, 1)

        def forward(self, x):
            a = self.down1(x)
            b = self.down2(F.max_pool2d(a, 2))
            c = self.up2(self.middle(F.max_pool2d(b, 2)))
            d = self.up1(self.merge2(torch.cat([c, b], 1)))
            return self.head(self.merge1(torch.cat([d, a], 1)))

    return Net(), lambda: (torch.randn(8, 3, 64, 64), torch.randint(0, 4, (8, 64, 64)))


CASES = {
    "mlp": mlp,
    "lenet": lenet,
    "resnet18": resnet18,
    "mobilenet": mobilenet,
    "resnext": resnext_block,
    "lstm": recurrent("LSTM"),
    "gru": recurrent("GRU"),
    "transformer": transformer,
    "gpt": gpt,
    "unet": unet,
}
