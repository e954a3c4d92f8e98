"""A Wasserstein generative adversarial network with gradient penalty (Gulrajani et al., 2017)."""

import argparse

import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
from digits import tensors
from torch.autograd import Variable
from torch.utils.data import DataLoader

IMG_SHAPE = (1, 8, 8)


class Generator(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()

        def block(in_feat, out_feat, normalize=True):
            layers = [nn.Linear(in_feat, out_feat)]
            if normalize:
                layers.append(nn.BatchNorm1d(out_feat, 0.8))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            return layers

        self.model = nn.Sequential(
            *block(latent_dim, 16, normalize=False),
            *block(16, 32),
            nn.Linear(32, int(np.prod(IMG_SHAPE))),
            nn.Tanh(),
        )

    def forward(self, z):
        img = self.model(z)
        return img.view(img.shape[0], *IMG_SHAPE)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(int(np.prod(IMG_SHAPE)), 32),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(32, 16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(16, 1),
        )

    def forward(self, img):
        return self.model(img.view(img.shape[0], -1))


def compute_gradient_penalty(D, real_samples, fake_samples):
    alpha = torch.rand(real_samples.size(0), 1, 1, 1)
    interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
    d_interpolates = D(interpolates)
    fake = Variable(torch.Tensor(real_samples.shape[0], 1).fill_(1.0), requires_grad=False)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=fake,
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--latent_dim", type=int, default=8)
    parser.add_argument("--n_critic", type=int, default=2)
    parser.add_argument("--compile", action="store_true")
    opt = parser.parse_args()

    torch.manual_seed(0)
    np.random.seed(0)
    lambda_gp = 10
    generator, discriminator = Generator(opt.latent_dim), Discriminator()
    optimizer_G = torch.optim.Adam(generator.parameters(), lr=opt.lr, betas=(0.5, 0.999))
    optimizer_D = torch.optim.Adam(discriminator.parameters(), lr=opt.lr, betas=(0.5, 0.999))
    loader = DataLoader(tensors(opt.steps * opt.batch_size), opt.batch_size, shuffle=True)

    def critic_step(real_imgs, z):
        optimizer_D.zero_grad()
        fake_imgs = generator(z)
        real_validity = discriminator(real_imgs)
        fake_validity = discriminator(fake_imgs)
        penalty = compute_gradient_penalty(discriminator, real_imgs.data, fake_imgs.data)
        d_loss = -torch.mean(real_validity) + torch.mean(fake_validity) + lambda_gp * penalty
        d_loss.backward()
        optimizer_D.step()
        return d_loss, penalty

    def generator_step(z):
        optimizer_G.zero_grad()
        g_loss = -torch.mean(discriminator(generator(z)))
        g_loss.backward()
        optimizer_G.step()
        return g_loss

    if opt.compile:
        critic_step, generator_step = torch.compile(critic_step), torch.compile(generator_step)
    for i, (imgs, _) in enumerate(loader):
        real_imgs = Variable(imgs.type(torch.FloatTensor)) * 2 - 1
        z = torch.from_numpy(np.random.normal(0, 1, (len(imgs), opt.latent_dim))).float()
        d_loss, penalty = critic_step(real_imgs, z)
        print(f"step {i} loss_d {d_loss.item():.8g} penalty {penalty.item():.8g}")
        if i % opt.n_critic == 0:
            print(f"step {i} loss_g {generator_step(z).item():.8g}")


if __name__ == "__main__":
    main()
