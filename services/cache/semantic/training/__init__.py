"""How the shipped networks were made. Needs requirements.txt beside this; see card.md."""
