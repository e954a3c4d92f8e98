"""A variational autoencoder of digits (Kingma and Welling, 2013)."""

import argparse

import torch
from digits import tensors
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader

PIXELS = 64


class VAE(nn.Module):
    def __init__(self, hidden=32, latent=8):
        super().__init__()
        self.latent = latent
        self.encoder = nn.Linear(PIXELS, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, PIXELS),
            nn.Sigmoid(),
        )

    def encode(self, x):
        h = F.relu(self.encoder(x))
        return self.mean(h), self.log_variance(h)

    def reparameterize(self, mean, log_variance):
        std = torch.exp(0.5 * log_variance)
        return mean + torch.randn_like(std) * std

    def forward(self, x):
        mean, log_variance = self.encode(x.view(-1, PIXELS))
        return self.decoder(self.reparameterize(mean, log_variance)), mean, log_variance


def evidence_bound(reconstruction, x, mean, log_variance):
    likelihood = F.binary_cross_entropy(reconstruction, x.view(-1, PIXELS), reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return likelihood + divergence


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loader = DataLoader(tensors(160), batch_size=args.batch_size, shuffle=True)
    model = VAE().to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step(data):
        optimizer.zero_grad()
        reconstruction, mean, log_variance = model(data)
        loss = evidence_bound(reconstruction, data, mean, log_variance)
        loss.backward()
        optimizer.step()
        return loss

    if args.compile:
        step = torch.compile(step)
    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        for batch, (data, _) in enumerate(loader):
            loss = step(data.to(device))
            total += loss.item()
            print(f"epoch {epoch} batch {batch} loss {loss.item() / len(data):.8g}")
        print(f"epoch {epoch} average {total / len(loader.dataset):.8g}")
        with torch.no_grad():
            sample = model.decoder(torch.randn(4, model.latent, device=device)).cpu()
            print(f"sample mean {sample.view(4, 1, 8, 8).mean().item():.8g}")


if __name__ == "__main__":
    main()
