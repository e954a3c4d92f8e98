"""A graph attention network (Velickovic et al., 2018) that labels the nodes of a random graph."""

import argparse

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam


class GraphAttentionLayer(nn.Module):
    def __init__(self, in_features, out_features, n_heads, concat=False, dropout=0.4, slope=0.2):
        super().__init__()
        self.n_heads, self.concat, self.dropout = n_heads, concat, dropout
        self.n_hidden = out_features // n_heads if concat else out_features
        self.W = nn.Parameter(torch.empty(size=(in_features, self.n_hidden * n_heads)))
        self.a = nn.Parameter(torch.empty(size=(n_heads, 2 * self.n_hidden, 1)))
        self.leakyrelu = nn.LeakyReLU(slope)
        self.softmax = nn.Softmax(dim=1)
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.xavier_normal_(self.W)
        nn.init.xavier_normal_(self.a)

    def scores(self, h):
        source = torch.matmul(h, self.a[:, : self.n_hidden, :])
        target = torch.matmul(h, self.a[:, self.n_hidden :, :])
        return self.leakyrelu(source + target.mT)

    def forward(self, h, adjacency):
        n_nodes = h.shape[0]
        h = torch.mm(h, self.W)
        h = F.dropout(h, self.dropout, training=self.training)
        h = h.view(n_nodes, self.n_heads, self.n_hidden).permute(1, 0, 2)
        e = self.scores(h)
        connectivity = -9e16 * torch.ones_like(e)
        e = torch.where(adjacency > 0, e, connectivity)
        attention = F.softmax(e, dim=-1)
        attention = F.dropout(attention, self.dropout, training=self.training)
        h = torch.matmul(attention, h)
        if self.concat:
            return h.permute(1, 0, 2).contiguous().view(n_nodes, self.n_heads * self.n_hidden)
        return h.mean(dim=0)


class GAT(nn.Module):
    def __init__(self, in_features, n_hidden, n_heads, num_classes, dropout):
        super().__init__()
        self.gat1 = GraphAttentionLayer(in_features, n_hidden, n_heads, True, dropout)
        self.gat2 = GraphAttentionLayer(n_hidden, num_classes, 1, False, dropout)

    def forward(self, x, adjacency):
        x = F.elu(self.gat1(x, adjacency))
        return F.log_softmax(self.gat2(x, adjacency), dim=1)


def random_graph(nodes, classes, features):
    """Nodes of a class are linked more often, and share a centre of features."""
    labels = torch.arange(nodes) % classes
    same = labels[:, None] == labels[None, :]
    links = torch.rand(nodes, nodes) < torch.where(same, 0.4, 0.05)
    adjacency = (links | links.T).float()
    adjacency.fill_diagonal_(1.0)
    centres = torch.randn(classes, features)
    return centres[labels] + torch.randn(nodes, features), adjacency, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--l2", type=float, default=5e-4)
    parser.add_argument("--dropout", type=float, default=0.6)
    parser.add_argument("--hidden-dim", type=int, default=16)
    parser.add_argument("--num-heads", type=int, default=4)
    parser.add_argument("--val-every", type=int, default=4)
    parser.add_argument("--seed", type=int, default=13)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    features, adjacency, labels = random_graph(48, 3, 10)
    order = torch.randperm(len(labels))
    idx_train, idx_val = order[:32], order[32:]
    net = GAT(10, args.hidden_dim, args.num_heads, 3, args.dropout)
    optimizer = Adam(net.parameters(), lr=args.lr, weight_decay=args.l2)
    criterion = nn.NLLLoss()

    def step():
        optimizer.zero_grad()
        output = net(features, adjacency)
        loss = criterion(output[idx_train], labels[idx_train])
        loss.backward()
        optimizer.step()
        return loss

    if args.compile:
        step = torch.compile(step)
    for epoch in range(1, args.epochs + 1):
        net.train()
        print(f"epoch {epoch} loss {step().item():.8g}")
        if epoch % args.val_every == 0:
            net.eval()
            with torch.no_grad():
                output = net(features, adjacency)[idx_val]
            accuracy = (output.argmax(1) == labels[idx_val]).float().mean()
            loss = criterion(output, labels[idx_val])
            print(f"val loss {loss.item():.8g} accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
