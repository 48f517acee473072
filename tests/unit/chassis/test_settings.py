"""Settings from the environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from chassis.settings import ServiceSettings, Settings, SettingsError


class Own(Settings):
    redis_url: str = "redis://127.0.0.1"
    pepper: SecretStr | None = None
    folder: Path = Path()
    seconds_max: float = 1.0


def test_variables_are_read_by_prefix_and_name():
    """`seconds_max` is SPENDGATE_SECONDS_MAX; other programs' variables are left alone."""
    own = Own.from_env({"SPENDGATE_SECONDS_MAX": "2.5", "PATH": "/bin"})
    assert own.seconds_max == 2.5


def test_an_empty_variable_counts_as_absent():
    """Manifests set variables to nothing to mean the default."""
    assert Own.from_env({"SPENDGATE_SECONDS_MAX": ""}).seconds_max == 1.0


def test_an_unknown_variable_is_refused_with_the_nearest_name():
    """A typo must not silently mean the default."""
    with pytest.raises(SettingsError) as caught:
        Own.from_env({"SPENDGATE_SECOND_MAX": "2"})
    assert caught.value.problems == [
        "SPENDGATE_SECOND_MAX is not a setting of this process; did you mean SPENDGATE_SECONDS_MAX?"
    ]


def test_every_problem_is_told_at_once_and_no_value():
    """A secret in the wrong variable must not end in a log."""
    with pytest.raises(SettingsError) as caught:
        Own.from_env({"SPENDGATE_SECONDS_MAX": "hush-hush", "SPENDGATE_NOPE": "hush-hush"})
    assert len(caught.value.problems) == 2
    assert "hush" not in str(caught.value)


def test_redacted_stars_secrets_and_passwords_in_urls():
    """The start-up log line can be shown to anybody."""
    own = Own(redis_url="redis://user:pw@host:1/0", pepper=SecretStr("pep"))
    shown = own.redacted()
    assert shown["redis_url"] == "redis://user:**********@host:1/0"
    assert shown["pepper"] == "**********"


def test_service_settings_bound_what_they_take():
    """A ratio over 1 is a mistake."""
    with pytest.raises(SettingsError):
        ServiceSettings.from_env({"SPENDGATE_TRACE_RATIO": "1.5"})


def test_a_secret_can_be_a_mounted_file(tmp_path):
    """SPENDGATE_<NAME>_FILE holds the value; its last line break is the editor's."""
    path = tmp_path / "pepper"
    path.write_text("from a file\n")
    pepper = Own.from_env({"SPENDGATE_PEPPER_FILE": str(path)}).pepper
    assert pepper is not None
    assert pepper.get_secret_value() == "from a file"


def test_a_file_that_cannot_be_read_or_a_value_given_twice_is_refused(tmp_path):
    """Both would leave the operator guessing which one counts."""
    for environ in (
        {"SPENDGATE_PEPPER_FILE": str(tmp_path / "none")},
        {"SPENDGATE_PEPPER_FILE": str(tmp_path), "SPENDGATE_PEPPER": "hush"},
    ):
        with pytest.raises(SettingsError) as caught:
            Own.from_env(environ)
        assert "SPENDGATE_PEPPER_FILE" in str(caught.value)
        assert "hush" not in str(caught.value)
