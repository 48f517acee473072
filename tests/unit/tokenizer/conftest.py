from collections.abc import Callable

import pytest

from services.tokenizer import vocabulary
from services.tokenizer.estimate import FixedRatios
from services.tokenizer.meter import Meter
from services.tokenizer.models import model_of
from services.tokenizer.vocabulary import Vocabularies


@pytest.fixture(scope="session")
def vocabularies() -> Vocabularies:
    return vocabulary.load()


@pytest.fixture(scope="session")
def meter_for(vocabularies: Vocabularies) -> Callable[[str], Meter]:
    """A meter for a model's name."""

    def make(name: str) -> Meter:
        model = model_of(name)
        return Meter(model, vocabularies[model.encoding], FixedRatios())

    return make
