"""The analysers' readers against an analyser on the network and on a pseudo-terminal."""

import json
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from teleconsult_vitals_serial import analyser as module
from teleconsult_vitals_serial.analyser import NOT_ALLOWED, WAITING, NetworkAnalyser, SerialAnalyser
from teleconsult_vitals_serial.settings import SerialSettings, split_address
from teleconsult_vitals_serial.simulated.analysers import block, result, result_message
from teleconsult_vitals_serial.simulated.lines import VirtualLine

from teleconsult.plugin_api import DeviceInfo, DeviceUnavailable, Reading, ReadingFlag

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
GLUCOSE = result(1, "14743-9", "7.3", "mmol/L")
HIGH = "OBX|2|SN|14743-9^血糖^LN||>^33.3|mmol/L|||||F"
HIGH_SAID = "血糖 (测试 某某, 0000)，2026-11-24 14:00 测得：>33.3 mmol/L"


class Sender:
    """An analyser's side of a connection."""

    def __init__(self, port, address="127.0.0.1"):
        self.socket = socket.create_connection((address, port), timeout=5)
        self.heard = b""

    def send(self, *messages):
        self.socket.sendall(b"".join(block(each.encode()) for each in messages))

    def answer(self):
        """Code, control id and sentence of the next answer; None if the line was closed."""
        while b"\x1c\x0d" not in self.heard:
            data = self.socket.recv(4096)
            if not data:
                return None
            self.heard += data
        data, _, self.heard = self.heard.partition(b"\x1c\x0d")
        msa = next(line for line in data[1:].decode().split("\r") if line.startswith("MSA"))
        return msa.split("|")[1:4]


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listening(device_bench, port):
    """Start the reader; returns it with a way to connect to it."""
    senders = []

    def begin(clock=None, memory=None, first="idle", **settings):
        filled = SerialSettings(analyser_listen=f"127.0.0.1:{port}", **settings)
        device = DeviceInfo(device_id=f"hl7-{port}", name="Analyser")
        bench = device_bench(NetworkAnalyser, filled, device=device, clock=clock, memory=memory)
        bench.first = bench.status(first).sentence
        return bench

    def connect():
        senders.append(Sender(port))
        return senders[-1]

    begin.connect = connect
    yield begin
    for sender in senders:
        sender.socket.close()


def test_a_result_is_kept_and_then_answered(listening):
    bench = listening()
    sender = listening.connect()
    sender.send(result_message("7", [GLUCOSE]))
    code, control_id, _ = sender.answer()
    reading = bench.reading("glucose", timeout=0.0)
    assert (code, control_id) == ("AA", "7")
    assert str(reading.value("glucose")) == "7.3"
    assert not reading.continuous
    assert bench.status("idle").sentence.zh == "已接收结果：1 项。"


@pytest.mark.parametrize("to_tray", [True, False])
def test_a_person_says_whose_a_result_is_unless_that_is_switched_off(listening, to_tray):
    bench = listening(**({} if to_tray else {"analyser_to_tray": False}))
    listening.connect().send(result_message("7", [GLUCOSE]))
    reading = bench.reading("glucose")
    assert (ReadingFlag.WHOSE_UNKNOWN in reading.flags) == to_tray
    assert reading.note == "测试 某某, 0000"


def test_what_is_not_kept_is_not_answered_as_kept(listening):
    bench = listening()
    bench.session.refuse_readings = True
    sender = listening.connect()
    sender.send(result_message("7", [GLUCOSE]))
    assert sender.answer() == ["AE", "7", "结果暂时无法保存，请重新发送。"]
    bench.session.refuse_readings = False
    sender.send(result_message("7", [GLUCOSE]))
    assert sender.answer()[0] == "AA"
    assert bench.reading("glucose")


def test_a_repeated_message_is_the_same_reading_and_is_answered_again(listening):
    bench = listening()
    sender = listening.connect()
    text = result_message("7", [GLUCOSE])
    sender.send(text, text)
    assert [sender.answer()[0], sender.answer()[0]] == ["AA", "AA"]
    assert bench.reading().reading_id == bench.reading().reading_id


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (result_message("7", [result(1, "14743-9", "++", "mmol/L")]), "AE"),
        (result_message("7", [GLUCOSE], message_type="ADT^A01"), "AR"),
        (result_message("7", [GLUCOSE], charset="EBCDIC"), "AR"),
        (result_message("7", [result(1, "14743-9", "", "mmol/L", status="X")]), "AA"),
    ],
)
def test_what_gives_no_reading_is_answered_with_a_sentence(listening, message, code):
    bench = listening()
    sender = listening.connect()
    sender.send(message)
    found, control_id, sentence = sender.answer()
    assert (found, control_id) == (code, "7")
    assert sentence
    assert bench.status("idle" if code == "AA" else "failed").sentence.zh
    with pytest.raises(AssertionError, match="no reading"):
        bench.reading(timeout=0.2)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (result_message("7", [GLUCOSE], processing="T"), "测试"),
        (result_message("7", [GLUCOSE], processing="D"), "测试"),
        (result_message("7", [result(1, "14743-9", "7.3", "mmol/L", status="D")]), "撤回"),
        (result_message("7", [result(1, "14743-9", "7.3", "mmol/L", status="W")]), "撤回"),
    ],
)
def test_what_will_never_be_taken_is_said_and_not_sent_for_ever(listening, message, said):
    bench = listening()
    sender = listening.connect()
    sender.send(message)
    code, control_id, sentence = sender.answer()
    assert (code, control_id) == ("AA", "7")
    assert said in sentence
    assert said in bench.status("failed").sentence.zh
    assert not any(isinstance(each, Reading) for each in list(bench.session.sent.queue))


def test_a_message_of_unknown_results_alone_is_answered_and_not_sent_for_ever(listening):
    bench = listening()
    sender = listening.connect()
    sender.send(result_message("7", [result(1, "718-7", "130", "g/L")]))
    code, _, sentence = sender.answer()
    assert (code, sentence) == ("AA", "没有可识别的结果，请在设置中添加代码。")
    assert bench.status("failed").sentence.zh == sentence


def test_a_result_above_the_range_is_told_with_the_name_and_answered(listening):
    bench = listening(clock=lambda: NOW)
    sender = listening.connect()
    sender.send(result_message("7", [GLUCOSE, HIGH], at=NOW))
    assert sender.answer()[0] == "AA"
    assert HIGH_SAID in bench.status("failed").sentence.zh
    sender.send(result_message("8", [HIGH, result(1, "8310-5", "36", "?")], at=NOW))
    code, _, sentence = sender.answer()
    assert (code, HIGH_SAID in sentence, "单位" in sentence) == ("AE", True, True)


def test_a_result_above_the_range_stands_before_what_comes_next(listening):
    now = [NOW]
    bench = listening(clock=lambda: now[0])
    sender = listening.connect()

    def next_sentence(control_id, *segments):
        sender.send(result_message(control_id, list(segments), at=NOW))
        answer = sender.answer()[2]
        return bench.status().sentence.zh, answer

    next_sentence("7", HIGH)
    sentence, answer = next_sentence("8", GLUCOSE)
    assert sentence == f"{HIGH_SAID}，超出检验仪量程，不作为测量值保存，请立即告知医生。已接收结果：1 项。"
    assert answer == "已接收结果：1 项。", "what is said of one message is not told in another's answer"
    assert next_sentence("7", HIGH)[0].count(HIGH_SAID) == 1, "it was sent again"
    now[0] += timedelta(minutes=61)
    assert next_sentence("9", GLUCOSE)[0] == "已接收结果：1 项。"
    assert bench.session.memory["standing"] == [], "the name is not kept longer than it is shown"


def test_what_stands_is_said_also_after_a_restart_and_where_the_line_ends(listening, device_bench, port):
    bench = listening(clock=lambda: NOW)
    sender = listening.connect()
    sender.send(result_message("7", [HIGH], at=NOW))
    assert sender.answer()[0] == "AA"
    bench.cancel()
    memory = json.loads(json.dumps(bench.session.memory))
    again = listening(clock=lambda: NOW + timedelta(minutes=59), memory=memory, first="failed")
    assert again.first.zh.startswith(HIGH_SAID)
    assert again.first.zh.endswith(WAITING.zh)
    there = SerialSettings(analyser_listen=f"127.0.0.1:{port}")
    ended = device_bench(NetworkAnalyser, there, clock=lambda: NOW, memory=memory).ended()
    assert ended.sentence.zh.startswith(HIGH_SAID)
    assert "无法监听" in ended.sentence.zh
    later = SerialSettings(analyser_listen=f"127.0.0.1:{port}")
    after = device_bench(NetworkAnalyser, later, clock=lambda: NOW + timedelta(minutes=61), memory=memory).ended()
    assert after.sentence.zh.startswith("无法监听")


def test_what_stands_is_remembered_before_the_readings_are_offered(listening):
    bench = listening(clock=lambda: NOW)
    bench.session.refuse_readings = True
    sender = listening.connect()
    sender.send(result_message("7", [GLUCOSE, HIGH], at=NOW))
    assert sender.answer() == ["AE", "7", "结果暂时无法保存，请重新发送。"]
    assert HIGH_SAID in bench.status("failed").sentence.zh


def test_control_material_beyond_the_range_does_not_stand(listening):
    bench = listening(clock=lambda: NOW)
    sender = listening.connect()
    sender.send(result_message("7", [HIGH], at=NOW, header_end="2"))
    assert "质控" in sender.answer()[2]
    assert "质控" in bench.status("failed").sentence.zh
    sender.send(result_message("8", [GLUCOSE], at=NOW))
    assert sender.answer()[1] == "8"
    assert bench.status().sentence.zh == "已接收结果：1 项。"
    assert not bench.session.memory.get("standing")


def test_the_good_results_of_a_partly_bad_message_are_kept(listening):
    bench = listening()
    sender = listening.connect()
    sender.send(result_message("7", [GLUCOSE, result(2, "8310-5", "36.6", "?")]))
    assert sender.answer()[0] == "AE"
    assert bench.reading("glucose")


def test_pieces_and_garbage_and_a_message_cut_short(listening):
    bench = listening()
    sender = listening.connect()
    data = (
        b"\xff\xff"
        + block(result_message("6", [GLUCOSE]).encode())[:120]
        + block(result_message("7", [GLUCOSE]).encode())
    )
    for at in range(0, len(data), 11):
        sender.socket.sendall(data[at : at + 11])
    assert sender.answer()[:2] == ["AR", "6"]
    assert sender.answer()[:2] == ["AA", "7"]
    assert bench.reading("glucose")


def test_a_message_too_long_is_refused_and_the_line_goes_on(listening):
    bench = listening()
    sender = listening.connect()
    sender.send(result_message("6", ["NTE|1||" + "x" * (5 * 1024 * 1024)]), result_message("7", [GLUCOSE]))
    assert sender.answer()[:2] == ["AR", "6"]
    assert sender.answer()[:2] == ["AA", "7"]
    assert bench.reading("glucose")


def test_only_those_on_the_list_are_let_in(listening):
    bench = listening(analyser_allow="10.1.0.0/16 192.168.3.4")
    sender = listening.connect()
    assert sender.answer() is None
    assert bench.status("failed").sentence == NOT_ALLOWED


def test_lists_of_allowed_senders():
    some = SerialSettings(analyser_allow="10.1.0.0/16 192.168.3.4 fd00::/8")
    assert some.allows("10.1.255.3")
    assert some.allows("::ffff:192.168.3.4")
    assert some.allows("fd00::1%eth0")
    assert not some.allows("10.2.0.1")
    assert SerialSettings().allows("203.0.113.9")
    with pytest.raises(ValueError, match="analyser_allow"):
        SerialSettings(analyser_allow="analyser.local")


def test_the_one_that_was_silent_longest_makes_room(listening):
    listening()
    senders = [listening.connect() for _ in range(module.CONNECTIONS)]
    for number, sender in enumerate([*senders, senders[0]]):
        sender.send(result_message(str(number), [GLUCOSE]))
        assert sender.answer()[0] == "AA"
    senders.append(listening.connect())
    assert senders[1].answer() is None, "the first one spoke again, so the second was silent longest"
    for sender in (senders[0], *senders[2:]):
        sender.send(result_message("9", [GLUCOSE]))
        assert sender.answer()[:2] == ["AA", "9"]


def test_an_unfinished_message_does_not_hold_its_line_for_ever(listening, monkeypatch):
    monkeypatch.setattr(module, "IDLE_BLOCK", 0.2)
    listening()
    sender = listening.connect()
    sender.socket.sendall(b"\x0bMSH|")
    assert sender.answer() is None


def test_a_sender_that_goes_before_its_answer_ends_nothing(listening):
    bench = listening()
    for number in range(5):
        sender = listening.connect()
        sender.send(result_message(str(number), [GLUCOSE]))
        sender.socket.close()
        bench.reading("glucose")
    sender = listening.connect()
    sender.send(result_message("9", [GLUCOSE]))
    assert sender.answer()[:2] == ["AA", "9"]


def test_a_flood_is_slowed(listening, monkeypatch):
    monkeypatch.setattr(module._Pace, "BURST", 5.0)
    monkeypatch.setattr(module._Pace, "PER_SECOND", 20.0)
    bench = listening()
    sender = listening.connect()
    began = time.monotonic()
    sender.send(*[result_message(str(number), [GLUCOSE]) for number in range(15)])
    assert [sender.answer()[0] for _ in range(15)] == ["AA"] * 15
    assert time.monotonic() - began > 0.4
    assert not bench.session.refused.is_set()


def test_a_port_that_is_taken_is_out_of_reach_and_no_fault(device_bench, port):
    with socket.create_server(("127.0.0.1", port)):
        bench = device_bench(NetworkAnalyser, SerialSettings(analyser_listen=f"127.0.0.1:{port}"))
        ended = bench.ended()
    assert isinstance(ended, DeviceUnavailable)
    assert "监听" in ended.sentence.zh


def test_lets_go_with_senders_connected(listening, port):
    bench = listening()
    sender = listening.connect()
    sender.socket.sendall(b"\x0bMSH|")
    began = time.monotonic()
    bench.cancel()
    assert time.monotonic() - began < 2.5
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_addresses():
    assert split_address("[::1]:2575") == ("::1", 2575)
    with pytest.raises(ValueError, match="analyser_listen"):
        SerialSettings(analyser_listen="2575")


def test_over_a_serial_port(device_bench):
    line = VirtualLine()
    device = DeviceInfo(device_id="analyser-1", name="Analyser", address=line.address)
    bench = device_bench(SerialAnalyser, SerialSettings(), device=device)
    bench.status("idle")
    line.send(b"\x00" + block(result_message("7", [GLUCOSE]).encode()))
    assert bench.reading("glucose").value("glucose")
    heard, deadline = b"", time.monotonic() + 5
    while b"MSA|AA|7" not in heard:
        heard += line.received()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    line.unplug()
    assert isinstance(bench.ended(), DeviceUnavailable)
