"""Message catalogues: collect the strings that a person sees, and keep every language complete.

    python scripts/messages.py extract        collect from Python, templates and browser modules (babel.cfg)
    python scripts/messages.py merge [DIR]    extract, then fill in translations from DIR/*.json, then compile
    python scripts/messages.py missing        list what has no good translation; fails if there is any
    python scripts/messages.py compile        write the .mo files, which the repository does not keep

A fragment for ``merge`` is one JSON object, ``{"English string": "translation"}``; it wins over what the
catalogue says. DIR is build/zh unless told otherwise, there or by TELECONSULT_ZH_FRAGMENTS. Several
people may merge at the same time.

The English string in the source is the message's identity. A catalogue holds exactly the strings in use,
sorted, without line numbers or dates, so that two branches rarely touch the same lines.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import CommandLineInterface, parse_mapping_cfg
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
TRANSLATIONS = ROOT / "teleconsult" / "translations"
LANGUAGE = "zh"
CATALOGUE = TRANSLATIONS / LANGUAGE / "LC_MESSAGES" / "messages.po"
SOURCES = [ROOT / "teleconsult", ROOT / "web" / "templates", ROOT / "web" / "js"]
# The value tells which arguments of a call are messages; None means the first.
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "N_": None, "t": None, "ngettext": (1, 2)}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|\{\w+\}")
HEADER = """\
# What teleconsult says, in Chinese. Written by scripts/messages.py; the words follow the project's glossary.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: zh\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


def extract_messages() -> Catalog:
    """All strings that the sources mark, without translations."""
    with (ROOT / "babel.cfg").open() as mapping:
        methods, options = parse_mapping_cfg(mapping, filename="babel.cfg")  # type: ignore[no-untyped-call]
    catalogue = Catalog(locale=LANGUAGE, fuzzy=False)
    for filename, line, message, _comments, context in extract_from_dir(
        ROOT, methods, options, keywords=KEYWORDS, directory_filter=_may_hold_sources
    ):
        if not message:
            raise click.ClickException(f"{filename}, line {line}: an empty string cannot be translated.")
        catalogue.add(message, context=context)
    return catalogue


def read_catalogue() -> Catalog:
    """The catalogue as it stands; empty if there is none yet."""
    if not CATALOGUE.exists():
        return Catalog(locale=LANGUAGE, fuzzy=False)
    with CATALOGUE.open("rb") as file:
        return read_po(file, locale=LANGUAGE)


def faults(source: Catalog, translated: Catalog) -> list[str]:
    """What a person would have to mend, one line each, sorted: strings without a translation, translations
    that are only a guess ("fuzzy"), and placeholders that differ between a string and its translation."""
    found = []
    for message in source:
        if not message.id:
            continue
        forms = _forms(message)
        translation = translated.get(message.id, message.context)
        strings = _strings(translation) if translation else ()
        if translation is None or not all(strings):
            found.append(f"no translation: {forms[0]!r}")
        elif translation.fuzzy:
            found.append(f"only a guess: {forms[0]!r}")
        elif any(set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(forms[-1])) for text in strings):
            found.append(f"placeholders differ: {forms[-1]!r} and {strings[0]!r}")
    return sorted(found)


@click.group(help="Collect, translate and compile what teleconsult says.")
def main() -> None:
    """Entry point; the commands do the work."""


@main.command()
def extract() -> None:
    """Collect the marked strings; what is no longer in use leaves the catalogue."""
    with _sole_writer():
        _write(extract_messages(), read_catalogue(), {})


@main.command()
@click.argument(
    "directory",
    envvar="TELECONSULT_ZH_FRAGMENTS",
    default=ROOT / "build" / "zh",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
def merge(directory: Path) -> None:
    """Collect the marked strings, fill in translations from DIRECTORY/*.json, compile."""
    with _sole_writer():
        source = extract_messages()
        marked = {form for message in source for form in _forms(message)}
        fragments: dict[str, str] = {}
        for path in sorted(directory.glob("*.json")):
            fragment = _read_fragment(path)
            for text in sorted(set(fragment) - marked):
                click.echo(f"{path.name}: no source marks {text!r}")
            for text in sorted(set(fragment) & set(fragments)):
                if fragment[text] != fragments[text]:
                    click.echo(f"{path.name}: {text!r} has another translation in another file")
            fragments.update(fragment)
        _write(source, read_catalogue(), fragments)
        _compile()
    click.echo(f"{len(faults(source, read_catalogue()))} of {len(source)} strings need a translation.")


@main.command()
def missing() -> None:
    """List what has no good translation; exit code 1 if there is any."""
    found = faults(extract_messages(), read_catalogue())
    for line in found:
        click.echo(line)
    if found:
        raise click.ClickException(f"{len(found)} strings need a translation.")


@main.command(name="compile")
def compile_() -> None:
    """Write the .mo files."""
    with _sole_writer():
        _compile()


def _compile() -> None:
    CommandLineInterface().run(  # type: ignore[no-untyped-call]
        ["pybabel", "--quiet", "compile", "--directory", str(TRANSLATIONS)]
    )


def _may_hold_sources(directory: str | os.PathLike[str]) -> bool:
    path = Path(directory)
    return any(path.is_relative_to(source) or source.is_relative_to(path) for source in SOURCES)


def _forms(message: Message) -> tuple[str, ...]:
    return tuple(message.id) if isinstance(message.id, list | tuple) else (message.id,)


def _strings(message: Message) -> tuple[str, ...]:
    strings = message.string if isinstance(message.string, list | tuple) else (message.string,)
    return tuple(string or "" for string in strings)


def _read_fragment(path: Path) -> dict[str, str]:
    try:
        fragment = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{path} is not valid JSON: {error}") from error
    if not isinstance(fragment, dict) or not all(isinstance(text, str) for text in fragment.values()):
        raise click.ClickException(f"{path} is not one object of English strings and translations.")
    return fragment


def _write(source: Catalog, translated: Catalog, fragments: dict[str, str]) -> None:
    """Write the strings of `source` with their translations from `fragments` or else from `translated`."""
    for message in source:
        if not message.id:
            continue
        string = fragments.get(_forms(message)[0]) or fragments.get(_forms(message)[-1])
        known = translated.get(message.id, message.context)
        if string is not None:
            message.string = (string,) if isinstance(message.id, tuple) else string
        elif known is not None:
            message.string = known.string
            message.flags |= known.flags & {"fuzzy"}
    CATALOGUE.parent.mkdir(parents=True, exist_ok=True)
    draft = CATALOGUE.with_suffix(".po.new")
    with draft.open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, source, width=0, no_location=True, omit_header=True, sort_output=True)
    draft.replace(CATALOGUE)


@contextmanager
def _sole_writer() -> Iterator[None]:
    """Hold other runs of this script back until this one has written."""
    lock = ROOT / "build" / "messages.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
