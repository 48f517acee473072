"""The five complexity classes, told by words in a task's description. English, and a coin's toss.

Kept because operators know it: over twenty benchmarks its order of prompts scores 0.49 where a
random one scores 0.50. `target` is the default.
"""

from catalog.schema import Complexity

_WORDS = (
    (Complexity.TRIVIAL, ("classify", "yes or no", "true or false", "sentiment")),
    (Complexity.SIMPLE, ("extract", "list", "identify", "count")),
    (Complexity.MODERATE, ("summarize", "explain", "describe", "translate")),
    (Complexity.COMPLEX, ("analyze", "reason", "solve", "generate code")),
    (Complexity.EXPERT, ("creative writing", "complex analysis", "multi-step", "research")),
)


def complexity(description: str) -> Complexity:
    """The first class one of whose words occurs; moderate when none does."""
    folded = description.lower()
    for found, words in _WORDS:
        if any(word in folded for word in words):
            return found
    return Complexity.MODERATE
