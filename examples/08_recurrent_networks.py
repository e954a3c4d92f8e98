"""Recurrent networks: which language is this word?

A recurrent network reads a word letter by letter and keeps what it has read in its state. Here are
three ways to run one: a loop over a cell, a layer over whole words, and an LSTM over a packed batch
of words of different lengths.
"""

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F
from flambeau.nn.utils.rnn import pack_sequence, pad_packed_sequence

WORDS = {
    "english": "bread butter kitchen window garden children brother weather shoulder thunder "
    "yellow morning twenty things knowledge brightly hidden island knight thought",
    "french": "bonjour fromage lumiere oiseau bateau beaucoup toujours chateau maison rouge "
    "feuille mouton chapeau quatre heureux jardin voiture cheveux langue autour",
    "italian": "buongiorno formaggio luce uccello barca sempre castello giallo rosso foglia "
    "pecora cappello quattro felice giardino macchina capelli lingua intorno stella",
}
LANGUAGES = list(WORDS)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def encode(word):
    """A word as a tensor of letter numbers."""
    return torch.tensor([LETTERS.index(letter) for letter in word])


examples = [(encode(w), k) for k, name in enumerate(LANGUAGES) for w in WORDS[name].split()]
print("words", len(examples), "longest", max(len(word) for word, _ in examples))

torch.manual_seed(0)

# 1. A cell takes one letter and the state before it, and returns the state after it.
cell = nn.RNNCell(len(LETTERS), 16)
state = torch.zeros(16)
for letter in F.one_hot(encode("stella"), len(LETTERS)).float():
    state = cell(letter, state)
print("state after the last letter", [f"{v:.4f}" for v in state[:3].tolist()])

# 2. A layer runs the same loop over all letters at once, and returns every state on the way.
layer = nn.RNN(len(LETTERS), 16)
layer.load_state_dict({name + "_l0": weight for name, weight in cell.state_dict().items()})
states, last = layer(F.one_hot(encode("stella"), len(LETTERS)).float())
print("the same state", torch.allclose(last[0], state, atol=1e-6), "of", len(states), "states")


# 3. Words of many lengths make one batch when they are packed: no letter is computed in vain.
class Reader(nn.Module):
    """Embeds the letters, reads them in both directions, and guesses from the last states."""

    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(len(LETTERS), 8)
        self.lstm = nn.LSTM(8, hidden, bidirectional=True)
        self.guess = nn.Linear(2 * hidden, len(LANGUAGES))

    def forward(self, words):
        letters = pack_sequence([self.embedding(word) for word in words], enforce_sorted=False)
        outputs, (h, c) = self.lstm(letters)
        return self.guess(torch.cat([h[0], h[1]], dim=1))


model = Reader(hidden=24)
print(model)
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
order = torch.randperm(len(examples)).tolist()
train, held_out = order[:48], order[48:]


def batch(numbers):
    words, languages = zip(*(examples[n] for n in numbers), strict=True)
    return list(words), torch.tensor(languages)


words, languages = batch(train)
for epoch in range(1, 26):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(words), languages)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if epoch % 5 == 0:
        right = (model(words).argmax(dim=1) == languages).float().mean().item()
        print(f"epoch {epoch} loss {loss.item():.4f} right {right:.2%}")

words, languages = batch(held_out)
with torch.no_grad():
    guesses = model(words).argmax(dim=1)
for word, language, guess in list(zip(words, languages, guesses, strict=True))[:6]:
    text = "".join(LETTERS[letter] for letter in word)
    print(f"{text:12s} is {LANGUAGES[language]:8s} guessed {LANGUAGES[guess]}")
print("right of the words held out", f"{(guesses == languages).float().mean().item():.2%}")

# What came out of a packed layer can be padded again, to look at every position.
outputs, _ = model.lstm(pack_sequence([model.embedding(w) for w in words], enforce_sorted=False))
padded, lengths = pad_packed_sequence(outputs, batch_first=True)
print("padded", tuple(padded.shape), "lengths", lengths.tolist())
