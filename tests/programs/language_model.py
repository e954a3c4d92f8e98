"""A word-level language model: LSTM, GRU, RNN or Transformer, with gradient clipping."""

import argparse
import math
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

SUBJECTS = ["the cat", "a dog", "the old man", "my sister", "the small bird", "nobody"]
VERBS = ["sees", "likes", "follows", "finds", "forgets", "paints"]
OBJECTS = ["the garden", "a red ball", "the river", "its shadow", "every song", "the moon"]


class Corpus:
    def __init__(self, sentences, seed):
        rng = random.Random(seed)
        words = []
        for _ in range(sentences):
            parts = [rng.choice(SUBJECTS), rng.choice(VERBS), rng.choice(OBJECTS), "<eos>"]
            words += " ".join(parts).split()
        self.index = {word: i for i, word in enumerate(dict.fromkeys(words))}
        self.ids = torch.tensor([self.index[word] for word in words]).type(torch.int64)


class RNNModel(nn.Module):
    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout, tie_weights):
        super().__init__()
        self.ntoken, self.nhid, self.nlayers = ntoken, nhid, nlayers
        self.rnn_type = rnn_type
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        if rnn_type in ("LSTM", "GRU"):
            self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        else:
            nonlinearity = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}[rnn_type]
            self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity=nonlinearity, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(input)), hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        state = weight.new_zeros(self.nlayers, bsz, self.nhid)
        return (state, weight.new_zeros(state.shape)) if self.rnn_type == "LSTM" else state


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout, max_len=100):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(1e4) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0).transpose(0, 1))

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0), :])


class TransformerModel(nn.Module):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers, dropout):
        super().__init__()
        self.ntoken, self.ninp = ntoken, ninp
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        layer = nn.TransformerEncoderLayer(ninp, nhead, nhid, dropout)
        self.layers = nn.TransformerEncoder(layer, nlayers, enable_nested_tensor=False)
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.decoder = nn.Linear(ninp, ntoken)
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.input_emb.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, src):
        mask = torch.log(torch.tril(torch.ones(len(src), len(src), device=src.device)))
        src = self.pos_encoder(self.input_emb(src) * math.sqrt(self.ninp))
        return F.log_softmax(self.decoder(self.layers(src, mask=mask)), dim=-1)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].reshape(-1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = ["RNN_TANH", "RNN_RELU", "LSTM", "GRU", "Transformer"]
    parser.add_argument("--model", default="LSTM", choices=kinds)
    parser.add_argument("--emsize", type=int, default=16)
    parser.add_argument("--nhid", type=int, default=16)
    parser.add_argument("--nlayers", type=int, default=2)
    parser.add_argument("--nhead", type=int, default=2)
    parser.add_argument("--lr", type=float, default=5.0)
    parser.add_argument("--clip", type=float, default=0.25)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--bptt", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--seed", type=int, default=1111)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    corpus = Corpus(48, args.seed)
    ntokens = len(corpus.index)
    train_data, val_data = batchify(corpus.ids, args.batch_size), batchify(corpus.ids[:200], 4)
    if args.model == "Transformer":
        size = (ntokens, args.emsize, args.nhead, args.nhid, args.nlayers, args.dropout)
        model = TransformerModel(*size)
    else:
        size = (ntokens, args.emsize, args.nhid, args.nlayers, args.dropout, args.tied)
        model = RNNModel(args.model, *size)
    criterion = nn.NLLLoss()

    def step(data, targets, hidden, lr):
        model.zero_grad()
        if hidden is None:
            output = model(data).view(-1, ntokens)
        else:
            output, hidden = model(data, repackage_hidden(hidden))
        loss = criterion(output, targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        return loss, hidden, norm

    def evaluate(data_source):
        model.eval()
        total_loss = 0.0
        hidden = None if args.model == "Transformer" else model.init_hidden(4)
        with torch.no_grad():
            for i in range(0, data_source.size(0) - 1, args.bptt):
                data, targets = get_batch(data_source, i, args.bptt)
                if hidden is None:
                    output = model(data).view(-1, ntokens)
                else:
                    output, hidden = model(data, hidden)
                total_loss += len(data) * criterion(output, targets).item()
        return total_loss / (len(data_source) - 1)

    if args.compile:
        step = torch.compile(step)
    lr, best = args.lr, None
    for epoch in range(1, args.epochs + 1):
        model.train()
        hidden = None if args.model == "Transformer" else model.init_hidden(args.batch_size)
        for batch, i in enumerate(range(0, train_data.size(0) - 1 - args.bptt, args.bptt)):
            data, targets = get_batch(train_data, i, args.bptt)
            loss, hidden, norm = step(data, targets, hidden, lr)
            print(f"epoch {epoch} batch {batch} loss {loss.item():.8g} norm {norm.item():.6g}")
        val_loss = evaluate(val_data)
        print(f"valid loss {val_loss:.8g} perplexity {math.exp(val_loss):.8g}")
        if best is None or val_loss < best:
            best = val_loss
        else:
            lr /= 4.0


if __name__ == "__main__":
    main()
