"""The Chinese catalogue is complete: the sources' strings, all of them, with the same placeholders."""

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from click.testing import CliRunner

from scripts import messages


def _catalogue(*translations: tuple[str, str]) -> Catalog:
    catalogue = Catalog(locale="zh", fuzzy=False)
    for text, translation in translations:
        catalogue.add(text, translation)
    return catalogue


def test_every_marked_string_has_its_chinese() -> None:
    found = messages.faults(messages.extract_messages(), messages.read_catalogue())
    assert not found, "Translate these and run scripts/messages.py merge:\n" + "\n".join(found)


def test_the_catalogue_holds_no_string_that_left_the_sources() -> None:
    left = {message.id for message in messages.read_catalogue()} - {
        message.id for message in messages.extract_messages()
    }
    assert not left, f"Run scripts/messages.py extract; no longer in use: {left}"


def test_faults_are_named() -> None:
    source = _catalogue(("Wait", ""), ("Seen by %(name)s", ""), ("Done", ""))
    translated = _catalogue(("Seen by %(name)s", "%(nom)s 已接诊"), ("Done", "完成"))
    translated.get("Done").flags.add("fuzzy")
    assert messages.faults(source, translated) == [
        "no translation: 'Wait'",
        "only a guess: 'Done'",
        "placeholders differ: 'Seen by %(name)s' and '%(nom)s 已接诊'",
    ]


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one Python module, one template and one browser module."""
    for name, text in {
        "teleconsult/page.py": 'title = _("Queue")\n',
        "web/templates/page.html": "<p>{{ _('Hello %(name)s', name=name) }}</p>",
        "web/js/page.js": 'show(`${t("Muted")}`);\n',
        "babel.cfg": (messages.ROOT / "babel.cfg").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(messages, "ROOT", tmp_path)
    monkeypatch.setattr(messages, "TRANSLATIONS", tmp_path / "translations")
    monkeypatch.setattr(messages, "CATALOGUE", tmp_path / "translations/zh/LC_MESSAGES/messages.po")
    monkeypatch.setattr(messages, "SOURCES", [tmp_path / "teleconsult", tmp_path / "web"])
    return tmp_path


def test_merge_fills_in_keeps_and_forgets(small_project: Path) -> None:
    fragments = small_project / "zh"
    fragments.mkdir()
    (fragments / "one.json").write_text('{"Queue": "候诊列表", "Hello %(name)s": "%(name)s，您好"}')
    run = CliRunner().invoke
    result = run(messages.main, ["merge", str(fragments)])
    assert result.output == "1 of 3 strings need a translation.\n"
    assert run(messages.main, ["missing"]).exit_code == 1

    (fragments / "one.json").write_text('{"Muted": "已静音"}')
    (small_project / "teleconsult/page.py").write_text('title = _("Waiting")\n')
    result = run(messages.main, ["merge", str(fragments)])
    assert result.output == "1 of 3 strings need a translation.\n"
    catalogue = messages.read_catalogue()
    assert {message.id: message.string for message in catalogue if message.id} == {
        "Hello %(name)s": "%(name)s，您好",
        "Muted": "已静音",
        "Waiting": "",
    }
    assert messages.CATALOGUE.with_suffix(".mo").stat().st_size > 0


def test_a_fragment_with_a_fault_is_named(small_project: Path) -> None:
    fragments = small_project / "zh"
    fragments.mkdir()
    (fragments / "broken.json").write_text('{"Queue": ')
    result = CliRunner().invoke(messages.main, ["merge", str(fragments)])
    assert result.exit_code == 1
    assert "broken.json is not valid JSON" in result.output
