"""A GRU learns to write: it guesses the next character, and then writes by its own guesses."""

import flambeau as torch
import flambeau.nn as nn
import flambeau.nn.functional as F

TEXT = (
    "the lamp burns low and the night is long, "
    "the night is long and the song is slow, "
    "the song is slow and the road goes on, "
    "the road goes on and the lamp burns low. "
)
CHARACTERS = sorted(set(TEXT))
NUMBER = {character: number for number, character in enumerate(CHARACTERS)}
LENGTH = 40

torch.manual_seed(1)
text = torch.tensor([NUMBER[character] for character in TEXT])
print("characters", len(CHARACTERS), "in a text of", len(text))


class Writer(nn.Module):
    """Scores for the next character after each one; the state is what it remembers."""

    def __init__(self, hidden):
        super().__init__()
        self.embedding = nn.Embedding(len(CHARACTERS), 16)
        self.gru = nn.GRU(16, hidden, num_layers=2, dropout=0.1, batch_first=True)
        self.scores = nn.Linear(hidden, len(CHARACTERS))

    def forward(self, characters, state=None):
        outputs, state = self.gru(self.embedding(characters), state)
        return self.scores(outputs), state


model = Writer(hidden=48)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for step in range(1, 61):
    starts = torch.randint(0, len(text) - LENGTH - 1, (8,)).tolist()
    given = torch.stack([text[s : s + LENGTH] for s in starts])
    wanted = torch.stack([text[s + 1 : s + LENGTH + 1] for s in starts])
    scores, _ = model(given)
    loss = F.cross_entropy(scores.flatten(0, 1), wanted.flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 10 == 0:
        print(f"step {step} loss {loss.item():.4f}")

# To write, feed each guess back as the next character; the state carries the past along.
model.eval()
written = "the night "
with torch.no_grad():
    scores, state = model(torch.tensor([[NUMBER[character] for character in written]]))
    for _ in range(30):
        guess = scores[0, -1].argmax().item()
        written += CHARACTERS[guess]
        scores, state = model(torch.tensor([[guess]]), state)
print("written:", written)
probability = F.softmax(scores[0, -1], dim=0)
print("sure of the next character", f"{probability.max().item():.4f}")
