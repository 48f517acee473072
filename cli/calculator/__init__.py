"""What Spendgate could save, from a few figures: no fleet, no float, nothing counted twice."""
