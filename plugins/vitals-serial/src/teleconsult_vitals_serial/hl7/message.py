"""ORU^R01 messages, versions 2.3 to 2.6: bytes to observations, and the answer. Pure.

Parsing is hl7apy's. Pictures and texts in a message are left out before it is parsed: they are not used here, and a
picture of megabytes must not keep the reader busy. Of the patient only the name and number are read, as words for a
person to compare. What a code or a unit means is `coding`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Segment
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

from teleconsult.plugin_api import Text

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6")
MOST_OBSERVATIONS = 500
LONGEST_NAME = 60
TEXTS = ("ST", "SN")
LONGEST_TEXT = 20
"""Characters; "HI" and ">33.3" are texts that matter, a comment is not."""

# Table 0211, and what analysers write instead.
_CHARSETS = {
    "ASCII": "ascii",
    "8859/1": "latin-1",
    "UNICODE": "utf-8",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "GB 18030-2000": "gb18030",
    "GB18030": "gb18030",
    "GB18030-2000": "gb18030",
    "GBK": "gb18030",
    "GB2312": "gb18030",
}

UNREADABLE = Text(en="This is no HL7 message.", zh="无法识别的 HL7 消息。")
NOT_SUPPORTED = Text(en="Only ORU^R01 of HL7 2.3 to 2.6 is taken.", zh="仅支持 HL7 2.3 至 2.6 的 ORU^R01 消息。")
NO_ID = Text(en="The message has no control id.", zh="消息缺少控制编号（MSH-10）。")
NO_CHARSET = Text(en="The character set of the message is not known.", zh="无法识别消息的字符集。")
TOO_MANY = Text(en="The message holds too many results.", zh="消息中的结果过多。")


@dataclass(frozen=True)
class Header:
    """What an answer repeats of a message."""

    field_separator: str
    encoding: str
    """MSH-2: component, repetition, escape and subcomponent separators."""
    application: str
    facility: str
    sent: str
    type: str
    control_id: str
    processing_id: str
    version: str
    accept_ack: str
    application_ack: str
    charset: str
    """MSH-18 as it was sent."""
    codec: str
    """Python's name of the character set that the message was read in."""


@dataclass(frozen=True)
class Observation:
    """One OBX of a number or of a short text, with what its OBR adds."""

    order: int
    """Number of the OBR in the message, from 1."""
    subject: int
    """Number of the PID in the message that it is under; 0 without one."""
    person: str
    """Name and number in that PID, as somebody typed them into the analyser."""
    set_id: str
    sub_id: str
    """OBX-4, which groups the results of one measurement; "" if the analyser does not use it."""
    codes: tuple[tuple[str, str], ...]
    """Pairs of code and coding system."""
    name: str
    value: str
    is_text: bool
    """Whether it was sent as a text or with a sign before it (ST, SN), as "HI" and ">33.3" are."""
    units: tuple[str, ...]
    status: str
    observed: str
    """OBX-14, else OBR-7; "" if neither is there."""
    raw: bytes


@dataclass(frozen=True)
class Results:
    """An ORU^R01 message."""

    header: Header
    observations: tuple[Observation, ...]
    left_out: int
    """OBX segments of other types: pictures, coded entries, long texts."""
    control: bool
    """Quality control or calibration: nobody's result."""


class Rejected(Exception):  # noqa: N818 - what happened to the message
    """The message cannot be read; the answer is AR. `header` is None if there is nobody to answer."""

    def __init__(self, sentence: Text, header: Header | None) -> None:
        super().__init__(sentence.en)
        self.sentence = sentence
        self.header = header


def read_header(data: bytes) -> Header | None:
    """The header of anything that begins like a message, whatever else is wrong with it."""
    line = re.split(rb"[\r\n]", data.lstrip(b"\r\n\x00 "), maxsplit=1)[0]
    if not line.startswith(b"MSH") or len(line) < 8:
        return None
    separator, encoding = chr(line[3]), line[4:8].decode("latin-1")
    # GB 18030 has bytes that look like separators within its characters: decode before anything is split.
    fields = line.decode(_guess(line), "replace").split(separator) + [""] * 18
    name = re.split(f"[{re.escape(encoding[:2])}]", fields[17])[0].strip()
    codec = _CHARSETS.get(name.upper(), "" if name else _guess(data))
    if codec and codec != _guess(line):
        fields = line.decode(codec, "replace").split(separator) + [""] * 18
    return Header(
        field_separator=separator,
        encoding=fields[1],
        application=fields[2],
        facility=fields[3],
        sent=fields[6],
        type=fields[8],
        control_id=fields[9].strip(),
        processing_id=fields[10],
        version=fields[11].split(fields[1][:1] or "^")[0].strip(),
        accept_ack=fields[14].strip(),
        application_ack=fields[15].strip(),
        charset=name,
        codec=codec,
    )


def _guess(data: bytes) -> str:
    """Without MSH-18 the standard says ASCII; what Chinese analysers then send is UTF-8 or GB 18030."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def parse(data: bytes) -> Results:
    """Read one message. Raises Rejected."""
    header = read_header(data)
    if header is None or len(header.encoding) < 4:
        raise Rejected(UNREADABLE, header)
    kind = header.type.split(header.encoding[0])
    if kind[:2] != ["ORU", "R01"] or header.version not in VERSIONS:
        raise Rejected(NOT_SUPPORTED, header)
    if not header.control_id:
        raise Rejected(NO_ID, header)
    if not header.codec:
        raise Rejected(NO_CHARSET, header)
    try:
        text = data.decode(header.codec)
    except UnicodeDecodeError:
        raise Rejected(NO_CHARSET, header) from None
    wanted, people, left_out = _numbers_only(text, header)
    if len(wanted) > MOST_OBSERVATIONS:
        raise Rejected(TOO_MANY, header)
    try:
        message = parse_message("\r".join(wanted), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False)
        return _results(header, list(message.children), people, left_out)
    except (HL7apyException, ValueError, IndexError, KeyError, AttributeError, TypeError) as error:
        # hl7apy lets errors of its own data types through for segments that are cut or out of shape.
        raise Rejected(UNREADABLE, header) from error


Subject = tuple[int, str]
"""The number of a PID, and its name and number in words."""


def _numbers_only(text: str, header: Header) -> tuple[list[str], list[Subject], int]:
    """The segments that are used, whom each OBX of them names, and how many results of other types there are.

    PID is not given to the parser: its fields are free text of many makers, and none of them may cost a result.
    """
    wanted: list[str] = []
    people: list[Subject] = []
    left_out, subject = 0, (0, "")
    for segment in re.split(r"[\r\n]+", text.strip("\r\n\x00 ")):
        name, _, rest = segment.partition(header.field_separator)
        if name == "PID":
            subject = (
                subject[0] + 1,
                _person(rest.split(header.field_separator), header.field_separator, header.encoding),
            )
        if name == "OBX":
            fields = rest.split(header.field_separator)
            kind, value = (*fields[1:2], "")[0], (*fields[4:5], "")[0]
            if kind not in ("NM", "") and not (kind in TEXTS and len(value) <= LONGEST_TEXT):
                left_out += 1
                continue
            people.append(subject)
        if name in ("MSH", "OBR", "OBX", "SPM"):
            wanted.append(segment)
    return wanted, people, left_out


def _person(fields: list[str], field: str, encoding: str) -> str:
    """Name (PID-5) and number (PID-3, else PID-2) in one line."""
    component, repetition, escape, subcomponent = tuple(encoding[:4])
    separators = {"COMPONENT": component, "REPETITION": repetition, "ESCAPE": escape, "SUBCOMPONENT": subcomponent}

    def words(number: int, components: int) -> str:
        text = fields[number - 1] if number <= len(fields) else ""
        parts = text.split(repetition)[0].split(component)[:components]
        said = " ".join(_unescape(part, {**separators, "FIELD": field}).strip() for part in parts)
        return " ".join("".join(letter for letter in said if letter.isprintable()).split())[:LONGEST_NAME]

    return ", ".join(found for found in (words(5, 2), words(3, 1) or words(2, 1)) if found)


def _results(header: Header, segments: list[Segment], people: list[Subject], left_out: int) -> Results:
    observations: list[Observation] = []
    order, observed = 0, ""
    # Not in the standard: analysers of several Chinese makers tell calibration (1) and control (2) by MSH-16.
    control = header.application_ack in ("1", "2")
    for segment in segments:
        if segment.name == "OBR":
            order, observed = order + 1, _field(segment, 7)[0]
        elif segment.name == "SPM":
            control = control or _field(segment, 11)[0] == "Q"
        elif segment.name == "OBX":
            identifier, sub_id, unit = _field(segment, 3), _field(segment, 4), _field(segment, 6)
            subject, person = people[len(observations)]
            observations.append(
                Observation(
                    order=max(order, 1),
                    subject=subject,
                    person=person,
                    set_id=_field(segment, 1)[0] or str(len(observations) + 1),
                    sub_id="/".join(sub_id).strip("/ "),
                    codes=tuple((identifier[at], identifier[at + 2]) for at in (0, 3) if identifier[at]),
                    name=identifier[1] or identifier[0],
                    value=_value(segment),
                    is_text=_field(segment, 2)[0].strip() in TEXTS,
                    units=tuple(unit[at] for at in (0, 1, 3, 4) if unit[at]),
                    status=_field(segment, 11)[0].strip().upper(),
                    observed=_field(segment, 14)[0] or observed,
                    raw=str(segment.to_er7()).encode(),
                )
            )
    return Results(header, tuple(observations), left_out, control)


def _value(segment: Segment) -> str:
    """OBX-5. A structured numeric is comparator^number^separator^number; "=" says nothing."""
    parts = [part.strip() for part in _field(segment, 5)]
    if _field(segment, 2)[0].strip() == "SN":
        return "".join(parts).removeprefix("=")
    return parts[0]


def _field(segment: Segment, number: int) -> list[str]:
    """The first repetition of a field as at least six components, unescaped; all "" if the field is not there."""
    separators = segment.encoding_chars
    field = getattr(segment, f"{segment.name}_{number}".lower())
    text = field[0].to_er7() if len(field) else ""
    parts = [_unescape(part, separators) for part in str(text).split(separators["COMPONENT"])]
    return parts + [""] * (6 - len(parts))


def _unescape(text: str, separators: dict[str, str]) -> str:
    escape = separators["ESCAPE"]
    meant = {
        "F": separators["FIELD"],
        "S": separators["COMPONENT"],
        "R": separators["REPETITION"],
        "T": separators["SUBCOMPONENT"],
        "E": escape,
    }
    pattern = re.escape(escape) + "([FSRTE])" + re.escape(escape)
    return re.sub(pattern, lambda match: meant[match[1]], text)


def answers(header: Header, code: str) -> list[str]:
    """The codes of the answers that a sender wants of a message that comes to AA, AE or AR.

    Without MSH-15 and MSH-16 that is the code itself. With one of them (enhanced mode) each says when its own answer
    is wanted: always, never, on success, on error.
    """
    wanted = {"AL": True, "NE": False, "SU": code == "AA", "ER": code != "AA"}
    accept, application = wanted.get(header.accept_ack), wanted.get(header.application_ack)
    if accept is None and application is None:
        return [code]
    return [*(["C" + code[1]] if accept else []), *([code] if application else [])]


def answer(header: Header, code: str, sentence: Text | None, control_id: str, now: datetime) -> bytes:
    """The acknowledgement (AA, AE or AR; in enhanced mode also CA, CE or CR), with a sentence.

    It is in Chinese where the message's characters allow it.
    """
    separator, encoding = header.field_separator, header.encoding if len(header.encoding) >= 4 else "^~\\&"
    codec = header.codec or "ascii"
    text = ""
    if sentence:
        text = sentence.zh if codec in ("utf-8", "gb18030") else sentence.en
    for found, word in zip((encoding[2], separator, encoding[0], encoding[1], encoding[3]), "EFSRT", strict=True):
        text = text.replace(found, f"{encoding[2]}{word}{encoding[2]}")
    version = header.version if header.version in VERSIONS else "2.3"
    msh = ["MSH", encoding, "teleconsult", "", header.application, header.facility]
    msh += [now.strftime("%Y%m%d%H%M%S+0000"), "", f"ACK{encoding[0]}R01", control_id]
    msh += [header.processing_id or "P", version, "", "", "", "", "", header.charset]
    lines = [separator.join(msh).rstrip(separator), separator.join(["MSA", code, header.control_id, text])]
    return ("\r".join(lines) + "\r").encode(codec, "replace")
