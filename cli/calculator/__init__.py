"""What Spendgate could save, reckoned from a few figures: no fleet, no float, no double counting."""
