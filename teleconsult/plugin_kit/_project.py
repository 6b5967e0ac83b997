"""Make the project of a new plugin from the templates: it installs, runs and passes its own tests as it is."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path
from string import Template

from teleconsult.domain.errors import N_, Conflict, InvalidInput
from teleconsult.plugin_api import API_VERSION
from teleconsult.plugin_kit._target import PLUGIN_GROUP

TEMPLATES = Path(__file__).parent / "templates"
KINDS = ("device", "followup", "referral", "panel")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40

SUMMARIES = {
    "device": ("Reads a thermometer over TCP", "通过 TCP 读取体温计"),
    "followup": ("A follow-up form with its rule", "一张随访表及其规则"),
    "referral": ("A referral route to a receiver that speaks HTTP", "向 HTTP 接收方转诊"),
    "panel": ("A panel beside a patient's readings", "在测量值旁显示一个信息栏"),
}
CHECK_ENTRY = """
[project.entry-points."teleconsult.plugin_check"]
{name} = "{package}.simulated:simulated"
"""


def make_project(name: str, kind: str, folder: Path) -> Path:
    """Make the folder `name` inside `folder` with a whole project in it, and return it.

    Raises InvalidInput for a name that cannot be one, Conflict if the folder is there already.
    """
    package = check_name(name)
    if kind not in KINDS:
        raise InvalidInput(N_("There is no kind %(kind)s of plugins."), kind=kind, field="kind")
    project = folder / name
    if project.exists():
        raise Conflict(N_("%(folder)s is there already; nothing was written."), folder=str(project))
    values = _values(name, package, kind)
    for source in (TEMPLATES / "common", TEMPLATES / kind):
        for template in sorted(source.rglob("*.tmpl")):
            place = str(template.relative_to(source)).removesuffix(".tmpl").replace("PACKAGE", package)
            target = project / (".gitignore" if place == "gitignore" else place)
            target.parent.mkdir(parents=True, exist_ok=True)
            text = Template(template.read_text(encoding="utf-8")).substitute(values)
            target.write_text(text, encoding="utf-8")
    return project


def check_name(name: str) -> str:
    """The package's name for a plugin's name. Raises InvalidInput with the reason."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise InvalidInput(
            N_(
                "A plugin's name has small letters, digits and hyphens, begins with a letter, and is at most "
                "%(longest)d characters long: my-scale."
            ),
            longest=LONGEST,
            field="name",
        )
    package = name.replace("-", "_")
    taken = package in sys.stdlib_module_names or keyword.iskeyword(package) or package in ("teleconsult", "tests")
    if taken or find_spec(package) is not None:
        raise InvalidInput(
            N_("%(name)s is the name of something in Python, or of an installed package; choose another."),
            name=name,
            field="name",
        )
    if name in {entry.name for entry in entry_points(group=PLUGIN_GROUP)}:
        raise InvalidInput(N_("A plugin named %(name)s is installed already; choose another name."), name=name)
    return package


def _values(name: str, package: str, kind: str) -> dict[str, str]:
    english, chinese = SUMMARIES[kind]
    return {
        "name": name,
        "package": package,
        "distribution": f"teleconsult-{name}",
        "title": name.replace("-", " ").capitalize(),
        "summary_en": english,
        "summary_zh": chinese,
        "api_version": API_VERSION,
        "core_version": version("teleconsult").partition("+")[0],
        "check_entry": CHECK_ENTRY.format(name=name, package=package) if kind in ("device", "referral") else "",
    }
