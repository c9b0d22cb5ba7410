"""A config.toml with this text: what it comes to, or what is said about it."""

import pytest

from support.config_samples import SECRETS
from sync.errors import SettingsError
from sync.settings.loading import load


@pytest.fixture(autouse=True)
def _bare(bare):
    for name, value in SECRETS.items():
        bare.setenv(name, value)


@pytest.fixture
def settings(tmp_path):
    """Load a config.toml with this text."""

    def read(text, *, file="config.toml", **more):
        (tmp_path / file).write_text(text)
        return load(file, **more)

    return read


@pytest.fixture
def mistakes(settings):
    """What is said about a config.toml with this text."""

    def read(text):
        with pytest.raises(SettingsError) as refused:
            settings(text)
        return list(refused.value.mistakes)

    return read
