"""HL7 messages: framing in any pieces, what becomes a reading and what is said about the rest."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st
from teleconsult_vitals_serial.hl7.coding import Coding, parse_codes, ucum
from teleconsult_vitals_serial.hl7.message import VERSIONS, Rejected, answer, answers, parse, read_header
from teleconsult_vitals_serial.hl7.mllp import Framer, Left, Trouble, frame
from teleconsult_vitals_serial.hl7.readings import parse_time, sort_results
from teleconsult_vitals_serial.settings import SerialSettings
from teleconsult_vitals_serial.simulated.analysers import block, result, result_message

from teleconsult.plugin_api import ReadingFlag, Text, make_reading

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))
HIGH = "OBX|1|SN|14743-9^Glu^LN||>^33.3|mmol/L|||||F"
few = settings(max_examples=30, deadline=None)


def message(*results, control_id="7", at=NOW, **more):
    return result_message(control_id, list(results), at=at, **more).encode()


def sort(data, codes="", now=NOW):
    return sort_results(parse(data), Coding(parse_codes(codes)), SHANGHAI, now)


# Framing


@few
@given(
    st.lists(st.binary(min_size=1, max_size=60).map(lambda b: b.translate(None, b"\x0b\x1c")), max_size=6),
    st.lists(st.integers(0, 5000), max_size=20),
)
def test_blocks_come_out_of_any_pieces(messages, cuts):
    data = b"".join(frame(each) for each in messages)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    framer = Framer()
    found = [each for a, b in pairwise(places) for each in framer.feed(data[a:b])]
    assert found == messages
    assert not framer.inside


@few
@given(st.binary(max_size=300))
def test_a_block_after_anything_is_found(garbage):
    framer = Framer()
    framer.feed(garbage)
    assert framer.feed(b"\x1c\r" + frame(b"MSH|ok"))[-1] == b"MSH|ok"


def test_what_is_no_block_is_told_once():
    framer = Framer()
    assert framer.feed(b"hello") == [Left(Trouble.NO_START)]
    assert framer.feed(b"hello\r\n") == []
    assert framer.feed(frame(b"a") + b"\r\n\x00" + frame(b"b")) == [b"a", b"b"]
    assert framer.feed(b"\x0bMSH|1" + frame(b"c")) == [Left(Trouble.NO_END, b"MSH|1"), b"c"]
    assert framer.feed(b"\x0bd\x1c\x0be\x1c\r") == [b"d", b"e"], "without the carriage return"


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_block_too_long_is_left_out_and_not_kept(piece):
    framer = Framer(most=100)
    data = frame(b"MSH|long" + b"x" * 500) + frame(b"y" * 100)
    found = []
    for at in range(0, len(data), piece):
        found += framer.feed(data[at : at + piece])
        assert len(framer._block or b"") <= 100
    assert found == [Left(Trouble.TOO_LONG, (b"MSH|long" + b"x" * 500)[:100]), b"y" * 100]


# Parsing


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version(version):
    found = sort(message(result(1, "14743-9", "7.3", "mmol/L"), version=version))
    [ready] = found.ready
    assert (ready.kind, ready.values) == ("glucose", {"glucose": (Decimal("7.3"), "mmol/L")})
    assert (ready.taken_at, ready.flags) == (NOW, ())


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("GBK", "gbk"),
        ("GB2312", "gb2312"),
        ("", "gb18030"),
        ("", "utf-8"),
    ],
)
def test_chinese_in_the_character_sets_that_analysers_send(charset, codec):
    # 東 is 96 7C in GBK: its second byte is the field separator.
    name = "血糖" if codec == "gb2312" else "東血糖"
    text = result_message("7", [f"OBX|1|NM|GLU^{name}||5.5|mmol/L|||||F"], at=NOW, charset=charset)
    text = text.replace("LAB", name)
    results = parse(text.encode(codec))
    assert results.observations[0].name == name
    assert results.header.facility == name
    assert sort(text.encode(codec), "GLU=glucose.glucose").ready


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "no HL7"),
        (b"5.5 mmol/L", "no HL7"),
        (b"MSH", "no HL7"),
        (b"MSH|^~\\&|A", "Only ORU"),
        (message(message_type="ADT^A01"), "Only ORU"),
        (message(message_type="ORU^R30"), "Only ORU"),
        (message(version="2.9"), "Only ORU"),
        (message(version=""), "Only ORU"),
        (message(control_id=""), "control id"),
        (message(charset="EBCDIC"), "character set"),
        (message(charset="ASCII"), "character set"),
        (message(*[result(i, "1-1", 1, "%") for i in range(501)]), "too many"),
    ],
)
def test_what_cannot_be_read_says_why(data, sentence):
    with pytest.raises(Rejected) as rejected:
        parse(data)
    assert sentence in rejected.value.sentence.en
    assert rejected.value.sentence.zh


@few
@given(st.binary(max_size=200), st.integers(0, 400))
def test_damage_never_raises_anything_else(damage, at):
    good = message(result(1, "14743-9", "7.3", "mmol/L"), result(2, "8480-6", "120", "mm[Hg]"))
    data = good[:at] + damage + good[at + len(damage) :]
    try:
        found = sort(data)
    except Rejected:
        return
    for ready in found.ready:
        make_reading("d", ready.kind, ready.values, sequence=ready.sequence, taken_at=ready.taken_at, raw=ready.raw)


def test_a_picture_of_megabytes_is_left_out_before_parsing():
    picture = f"OBX|2|ED|WBC^Histogram||^Image^PNG^Base64^{'A' * 3_000_000}||||||F"
    results = parse(message(result(1, "14743-9", "7.3", "mmol/L"), picture, "OBX|3|ST|x||more than a few words||||||F"))
    assert len(results.observations) == 1
    assert results.left_out == 2


def test_the_name_and_number_in_a_message_are_words_beside_the_reading_and_nothing_else():
    [ready] = sort(message(result(1, "14743-9", "7.3", "mmol/L"))).ready
    assert ready.note == "测试 某某, 0000"
    assert b"0000" not in ready.raw
    assert b"PID" not in ready.raw
    assert b"14743-9" in ready.raw


@pytest.mark.parametrize(
    ("segment", "note"),
    [
        ("PID|1||0000^^^^PN||测试^某某", "测试 某某, 0000"),
        ("PID|1|P7|||王", "王, P7"),
        ("PID|1||12~13", "12"),
        (r"PID|1||1\T\2||A\S\B\x08", r"A^B\x08, 1&2"),
        ("PID|1||" + "9" * 400, "9" * 60),
        ("PID", ""),
        ("", ""),
        ("PID|1||\x07\x1b", ""),
    ],
)
def test_patients_in_any_shape(segment, note):
    text = message(result(1, "14743-9", "7.3", "mmol/L")).decode().replace("PID|1||0000^^^^PN||测试^某某", segment)
    [ready] = sort(text.encode()).ready
    assert ready.note == note


def test_two_people_in_a_message_are_kept_apart():
    """Also without an OBR between them: a pressure is never made of two people's numbers."""
    data = message(
        result(1, "8480-6", "128", "mm[Hg]"),
        "PID|2||8||B",
        result(1, "8462-4", "82", "mm[Hg]"),
        result(2, "8310-5", "36.5", "Cel"),
        "PID|3||9||C",
        result(2, "8310-5", "36.5", "Cel"),
    )
    found = sort(data)
    assert [(ready.note, ready.kind) for ready in found.ready] == [
        ("B, 8", "body_temperature"),
        ("C, 9", "body_temperature"),
    ]
    assert len({ready.sequence for ready in found.ready}) == 2
    assert len(found.refused) == 2


# What becomes of results


def test_a_blood_pressure_is_one_reading_with_its_pulse():
    found = sort(
        message(
            result(1, "8480-6", "128", "mm[Hg]"),
            result(2, "8462-4", "82", "mmHg"),
            result(3, "8478-0", "97", "mm[Hg]"),
            result(4, "8867-4", "72", "/min"),
            result(5, "59408-5", "97", "%"),
            result(6, "8310-5", "36.6", "Cel"),
        )
    )
    kinds = {ready.kind: ready for ready in found.ready}
    assert set(kinds) == {"blood_pressure", "spo2", "body_temperature"}
    assert set(kinds["blood_pressure"].values) == {"systolic", "diastolic", "mean", "pulse_rate"}
    assert kinds["blood_pressure"].raw.count(b"OBX") == 4


def test_two_pressures_in_one_order_are_two_readings():
    rows = [("8480-6", "128"), ("8462-4", "82"), ("8480-6", "131"), ("8462-4", "85")]
    found = sort(message(*[result(i, code, value, "mm[Hg]") for i, (code, value) in enumerate(rows, 1)]))
    assert [ready.values["systolic"][0] for ready in found.ready] == [128, 131]
    assert [ready.values["diastolic"][0] for ready in found.ready] == [82, 85]
    assert len({ready.sequence for ready in found.ready}) == 2


SYS, DIA, MEAN, RATE = "8480-6", "8462-4", "8478-0", "8867-4"


def pressures(*rows):
    """What becomes of these (code, value, sub-ID and status if any) of one order."""
    segments = []
    for number, (code, value, *more) in enumerate(rows, 1):
        sub_id, status = (*more, *("", "F")[len(more) :])
        unit = "/min" if code == RATE else "mm[Hg]"
        segments.append(result(number, code, value, unit, sub_id=sub_id, status=status))
    return sort(message(*segments))


def shown(found):
    return [{name: int(number) for name, (number, _) in ready.values.items()} for ready in found.ready]


def test_sub_ids_say_which_numbers_belong_together():
    found = pressures((SYS, 120, "1"), (SYS, 190, "2"), (DIA, 80, "1"), (DIA, 115, "2"), (RATE, 88, "2"))
    assert shown(found) == [
        {"systolic": 120, "diastolic": 80},
        {"systolic": 190, "diastolic": 115, "pulse_rate": 88},
    ]
    assert found.refused == []


def test_numbers_of_different_sub_ids_are_never_one_reading():
    found = pressures((SYS, 190, "1"), (DIA, 80, "2"))
    assert (found.ready, len(found.refused)) == ([], 2)


def test_sub_ids_tell_equal_measurements_apart():
    rows = [result(1, code, value, "mm[Hg]", sub_id=sub) for sub in "12" for code, value in ((SYS, 120), (DIA, 80))]
    found = sort(message(*rows))
    assert len({ready.sequence for ready in found.ready}) == 2


@pytest.mark.parametrize(
    "rows",
    [
        [(SYS, 120), (SYS, 190), (DIA, 80), (DIA, 115)],
        [(SYS, 120), (DIA, 115), (SYS, 190)],
        [(SYS, 120), (DIA, 80), (SYS, 190), (DIA, 115), (MEAN, 93), (MEAN, 140)],
        [(SYS, 120), (SYS, 190), (DIA, 80), (DIA, 115), (RATE, 70), (RATE, 90)],
        [(SYS, "", "", "X"), (SYS, 190), (DIA, 80), (DIA, 115)],
    ],
)
def test_numbers_that_came_mixed_are_not_paired(rows):
    found = pressures(*rows)
    assert found.ready == []
    [sentence] = found.refused
    assert "mixed" in sentence.en
    assert "混在一起" in sentence.zh


@pytest.mark.parametrize("missing", [("", "X"), ("HI", "F"), ("++", "F"), ("", "D")])
def test_a_number_that_is_missing_is_not_made_up_from_the_next_measurement(missing):
    value, status = missing
    found = pressures((SYS, value, "", status), (DIA, 115), (SYS, 120), (DIA, 80))
    assert shown(found) == [{"systolic": 120, "diastolic": 80}]
    found = pressures((SYS, 190), (DIA, value, "", status), (SYS, value, "", status), (DIA, 80))
    assert found.ready == []
    assert "systolic and diastolic" in found.refused[-1].en


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([(SYS, "", "", "X"), (DIA, "", "", "X"), (RATE, 72)], ["heart_rate"]),
        ([(SYS, 120), (DIA, 80), (RATE, 72), (RATE, 90)], ["blood_pressure", "heart_rate", "heart_rate"]),
        ([(SYS, 120), (DIA, 80), (SYS, 190), (DIA, 115), (RATE, 90)], ["blood_pressure"] * 2 + ["heart_rate"]),
    ],
)
def test_a_heart_rate_without_a_pressure_of_its_own_is_a_reading_by_itself(rows, kinds):
    found = pressures(*rows)
    assert [ready.kind for ready in found.ready] == kinds
    assert all("pulse_rate" not in numbers for numbers in shown(found))
    assert found.refused == []


def test_orders_are_kept_apart():
    found = sort(message(result(1, "8480-6", "128", "mm[Hg]"), "OBR|2||8|x", result(1, "8462-4", "82", "mm[Hg]")))
    assert found.ready == []
    assert len(found.refused) == 2


def test_heart_rate_alone():
    [ready] = sort(message(result(1, "8867-4", "72", "次/分"))).ready
    assert (ready.kind, ready.values) == ("heart_rate", {"heart_rate": (Decimal(72), "/min")})


@pytest.mark.parametrize(
    ("status", "kept", "flag"),
    [("F", True, None), ("", True, None), ("C", True, None), ("P", True, ReadingFlag.ESTIMATED)]
    + [(status, False, None) for status in "XIRSON"],
)
def test_status_of_a_result(status, kept, flag):
    found = sort(message(result(1, "14743-9", "7.3", "mmol/L", status=status)))
    assert len(found.ready) == kept
    assert len(found.cannot_be_had) == (not kept)
    assert found.refused == []
    if kept:
        assert found.ready[0].flags == ((flag,) if flag else ())


def test_a_correction_is_another_reading_and_says_so():
    first = sort(message(result(1, "14743-9", "7.3", "mmol/L"))).ready[0]
    second = sort(message(result(1, "14743-9", "8.3", "mmol/L", status="C"), control_id="8")).ready[0]
    ids = {make_reading("d", r.kind, r.values, sequence=r.sequence).reading_id for r in (first, second)}
    assert len(ids) == 2
    assert second.raw.endswith(b"|C")


@pytest.mark.parametrize("status", ["D", "W"])
def test_a_result_taken_back_deletes_nothing_and_is_said(status):
    found = sort(message(result(1, "14743-9", "7.3", "mmol/L", status=status)))
    assert found.ready == []
    [remark] = found.remarks
    assert remark.sentence.en.startswith(
        "Name of 14743-9 (测试 某某, 0000), measured 2026-11-24 14:00: the analyser took"
    )
    assert remark.sentence.zh.startswith("Name of 14743-9 (测试 某某, 0000)，2026-11-24 14:00 测得：检验仪撤回了结果")
    assert found.refused == []


@pytest.mark.parametrize("value", ["", "++++", "1e3", "NaN", "inf", "7,3", "７.3", "1234567890123", "."])
def test_what_is_no_number_is_no_reading(value):
    found = sort(message(result(1, "14743-9", value, "mmol/L")))
    assert found.ready == []
    assert "no number" in found.refused[0].en


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        ("OBX|1|ST|14743-9^Glu^LN||HI|mmol/L|||||F", "HI mmol/L"),
        ("OBX|1|ST|14743-9^Glu^LN||low||||||F", "low"),
        ("OBX|1|SN|14743-9^Glu^LN||>^33.3|mmol/L|||||F", ">33.3 mmol/L"),
        ("OBX|1|NM|14743-9^Glu^LN||<1.1|mmol/L|||||F", "<1.1 mmol/L"),
    ],
)
def test_a_result_beyond_what_can_be_measured_is_said_and_is_no_reading(segment, said):
    found = sort(message(segment))
    [remark] = found.remarks
    assert remark.sentence.en.startswith(f"Glu (测试 某某, 0000), measured 2026-11-24 14:00: {said}, beyond")
    assert remark.sentence.zh.startswith(f"Glu (测试 某某, 0000)，2026-11-24 14:00 测得：{said}，超出检验仪量程")
    assert (found.ready, found.refused, found.unknown) == ([], [], [])


def test_a_result_beyond_the_range_whose_time_is_not_believed_says_when_it_came():
    [remark] = sort(message(HIGH, at=NOW - timedelta(days=400))).remarks
    assert "received 2026-11-24 14:00" in remark.sentence.en
    assert "2026-11-24 14:00 收到" in remark.sentence.zh


def test_control_material_beyond_the_range_is_nobody_s_emergency():
    [remark] = sort(message("SPM|1|||BLD|||||||Q", HIGH)).remarks
    assert remark.control
    assert "quality control" in remark.sentence.en
    assert "质控" in remark.sentence.zh
    assert "doctor" not in remark.sentence.en


@pytest.mark.parametrize("value", ["SN|14743-9^Glu^LN||=^7.3", "SN|14743-9^Glu^LN||^7.3", "ST|14743-9^Glu^LN||7.3"])
def test_a_number_is_taken_however_it_is_sent(value):
    [ready] = sort(message(f"OBX|1|{value}|mmol/L|||||F")).ready
    assert ready.values == {"glucose": (Decimal("7.3"), "mmol/L")}


@pytest.mark.parametrize("value", ["SN|14743-9^Glu^LN||^7^-^9", "SN|14743-9^Glu^LN||^1^:^8", "ST|14743-9^Glu^LN||neg"])
def test_ranges_and_words_are_no_numbers(value):
    found = sort(message(f"OBX|1|{value}|mmol/L|||||F"))
    assert (found.ready, found.remarks, len(found.refused)) == ([], [], 1)


def test_a_text_that_nobody_asked_for_is_nothing():
    found = sort(message("OBX|1|ST|5778-6^Color^LN||yellow||||||F"))
    assert (found.unknown, found.refused) == ([], [])


@pytest.mark.parametrize("unit", ["", "g/L", "kPa", "?", "mm", "MM"])
def test_a_unit_is_never_guessed(unit):
    found = sort(message(result(1, "14743-9", "7.3", unit)))
    assert found.ready == []
    assert "unit" in found.refused[0].en


@pytest.mark.parametrize(
    ("word", "unit"),
    [
        ("mmol/l", "mmol/L"),
        (" mM ", "mmol/L"),
        ("mm", None),
        ("MG/DL", "mg/dL"),
        ("mmHg", "mm[Hg]"),
        ("bpm", "/min"),
        ("℃", "Cel"),
        ("公斤", "kg"),
    ],
)
def test_unit_words(word, unit):
    assert ucum(word) == unit


def test_milligrams_are_converted_and_kept():
    [ready] = sort(message(result(1, "41653-7", "126", "mg/dL"))).ready
    reading = make_reading("d", ready.kind, ready.values, sequence=ready.sequence)
    [glucose] = reading.components
    assert (glucose.value, glucose.unit, glucose.as_given) == (Decimal("6.99"), "mmol/L", "126 mg/dL")


def test_codes_that_mean_something_else_are_not_taken_unless_it_is_set():
    plasma = message(result(1, "14749-6", "7.3", "mmol/L"))
    assert sort(plasma).unknown == ["Name of 14749-6"]
    assert sort(plasma, "14749-6=glucose.glucose").ready
    assert sort(message(result(1, "14743-9", "7.3", "mmol/L", system="L"))).ready == [], "another system's number"
    assert sort(message("OBX|1|NM|X^n^L^14743-9^n^LN||7.3|mmol/L|||||F")).ready, "the alternate identifier"
    assert sort(message(result(1, "GLU", "130", "", system="L")), "GLU=glucose.glucose:mg/dL").ready


@pytest.mark.parametrize("text", ["G", "G=glucose", "G=glucose.sugar", "=glucose.glucose", "G=glucose.glucose:kg"])
def test_wrong_codes_are_refused_by_the_settings(text):
    with pytest.raises(ValueError, match="analyser_codes"):
        SerialSettings(analyser_codes=text)


def test_control_material_is_nobody_s_blood():
    [ready] = sort(message(result(1, "14743-9", "7.3", "mmol/L"), header_end="2")).ready
    assert ready.flags == (ReadingFlag.CONTROL_SOLUTION,)
    [ready] = sort(message("SPM|1|||BLD|||||||Q", result(1, "14743-9", "7.3", "mmol/L"), version="2.5")).ready
    assert ready.flags == (ReadingFlag.CONTROL_SOLUTION,)


@pytest.mark.parametrize("observed", ["", "20261124", "yesterday"])
def test_a_result_without_a_time_is_not_of_now(observed):
    text = message(result(1, "14743-9", "7.3", "mmol/L")).decode()
    obr = next(line for line in text.split("\r") if line.startswith("OBR"))
    text = text.replace(obr, obr.rpartition("|")[0] + "|" + observed)
    [ready] = sort(text.encode()).ready
    assert (ready.taken_at, ready.flags) == (None, (ReadingFlag.CLOCK_NOT_SET,))


@pytest.mark.parametrize("days", [-3 * 365, -2, 1, 400])
def test_a_wrong_clock_gives_no_time(days):
    [ready] = sort(message(result(1, "14743-9", "7.3", "mmol/L"), at=NOW + timedelta(days=days))).ready
    assert (ready.taken_at, ready.flags) == (None, (ReadingFlag.CLOCK_NOT_SET,))


def test_a_result_sent_late_keeps_its_time():
    text = message(result(1, "14743-9", "7.3", "mmol/L") + "|||20261101080000").decode()
    [ready] = sort(text.encode()).ready
    assert (ready.taken_at, ready.flags) == (datetime(2026, 11, 1, 0, 0, tzinfo=UTC), ())


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("20261124140000", datetime(2026, 11, 24, 6, 0, tzinfo=UTC)),
        ("202611241400", datetime(2026, 11, 24, 6, 0, tzinfo=UTC)),
        ("20261124140000.25-0330", datetime(2026, 11, 24, 17, 30, 0, 250000, UTC)),
        ("20261124", None),
        ("20261324140000", None),
        ("20261124140000+2500", None),
        ("00010101000000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_times(text, time):
    assert parse_time(text, SHANGHAI) == time


# Answers


@pytest.mark.parametrize("code", ["AA", "AE", "AR"])
def test_answers_are_messages_that_hl7apy_reads(code):
    header = read_header(message(control_id="a|7"[2:], charset="ASCII"))
    sentence = Text(en="A | B ^ C & D ~ E \\ F", zh="无")
    data = answer(header, code, sentence, "99", NOW).decode()
    found = parse_message(data, find_groups=False)
    assert found.msh.msh_9.to_er7() == "ACK^R01"
    assert found.msh.msh_12.value == "2.5"
    assert found.msh.msh_5.value == "ANALYSER"
    assert (found.msa.msa_1.value, found.msa.msa_2.value) == (code, "7")
    assert data.split("|")[-1].strip() == r"A \F\ B \S\ C \T\ D \R\ E \E\ F"


@pytest.mark.parametrize(
    ("ends", "code", "wanted"),
    [
        ("|", "AA", ["AA"]),
        ("|1", "AE", ["AE"]),
        ("|NE", "AA", []),
        ("|AL", "AE", ["AE"]),
        ("AL|NE", "AA", ["CA"]),
        ("AL|AL", "AE", ["CE", "AE"]),
        ("ER|SU", "AA", ["AA"]),
        ("ER|SU", "AR", ["CR"]),
    ],
)
def test_which_answers_are_wanted(ends, code, wanted):
    header = read_header(f"MSH|^~\\&|A|B|||20261124||ORU^R01|7|P|2.5|||{ends}".encode())
    assert answers(header, code) == wanted


def test_answers_are_in_the_message_s_characters():
    data = answer(read_header(message(charset="GB18030")), "AE", Text(en="x", zh="结果"), "99", NOW)
    assert "结果" in data.decode("gb18030")
    assert b"GB18030" in data


def test_a_block_made_here_is_the_one_that_is_read():
    assert block(b"x") == frame(b"x")
