"""Broken device plugins."""

from __future__ import annotations

from tests.plugins.broken._broken import Broken

READER, SIMULATED = "reader.py", "simulated.py"
_CONNECT = "            stream, writer = await asyncio.open_connection"
_CLOSE = "        finally:\n            writer.close()"
_IMPORT = "import asyncio\n"
_SETTINGS = "    settings: ThermometerSettings\n"
_GIVEN = "        right = abs("

DEVICES = (
    Broken(
        "imports-the-core",
        "device",
        "imports-api-only",
        "reader.py line",
        READER,
        (
            (
                "from typing import ClassVar\n",
                "from typing import ClassVar\n\nfrom teleconsult.domain import measurement\n",
            ),
        ),
    ),
    Broken(
        "wrong-unit",
        "device",
        "units-stated",
        "Reading and device differ",
        READER,
        (("(given.value, given.unit)", '(given.value, "[degF]")'),),
    ),
    Broken(
        "nan-becomes-a-reading",
        "device",
        "error-frames-refused",
        "became a reading: 0",
        READER,
        (
            (
                '            await session.status("failed", AGAIN)\n            return\n',
                '            given = Temperature(9999, session.now(), Decimal("0"), "Cel", 85)\n',
            ),
            ("from datetime import timedelta\n", "from datetime import timedelta\nfrom decimal import Decimal\n"),
        ),
    ),
    Broken(
        "will-not-cancel",
        "device",
        "cancels-cleanly",
        "after it was cancelled",
        READER,
        (
            (
                _CLOSE,
                "        finally:\n            if not self.read:\n                await asyncio.sleep(5)\n"
                "            writer.close()",
            ),
            ("    settings: ThermometerSettings\n", "    settings: ThermometerSettings\n    read = False\n"),
            ("        right = abs(", "        self.read = True\n        right = abs("),
        ),
    ),
    Broken(
        "leaks-threads",
        "device",
        "leaks-nothing",
        "threads were left",
        READER,
        (
            (_IMPORT, "import asyncio\nimport threading\n"),
            (_CONNECT, f"            threading.Thread(target=threading.Event().wait, daemon=True).start()\n{_CONNECT}"),
        ),
    ),
    Broken(
        "leaks-sockets",
        "device",
        "leaks-nothing",
        "open files or sockets",
        READER,
        (
            (_IMPORT, "import asyncio\nimport socket\n"),
            (
                "    settings: ThermometerSettings\n",
                "    settings: ThermometerSettings\n    held: ClassVar[list[socket.socket]] = []\n",
            ),
            (_CONNECT, f"            self.held.append(socket.socket())\n{_CONNECT}"),
        ),
    ),
    Broken(
        "no-sequence-or-time",
        "device",
        "repeats-recognised",
        "neither sequence nor taken_at",
        READER,
        (
            ('            sequence=f"{given.record}-{given.clock.isoformat()}",\n', ""),
            ("            taken_at=given.clock if right else None,\n", ""),
        ),
    ),
    Broken(
        "blocks-the-loop",
        "device",
        "loop-stays-free",
        "held up the event loop",
        READER,
        ((_IMPORT, "import asyncio\nimport time\n"), (_CONNECT, f"            time.sleep(1.0)\n{_CONNECT}")),
    ),
    Broken(
        "searches-for-ever",
        "device",
        "discovery-ends",
        "went on for 3 s",
        READER,
        (
            ("        yield DeviceInfo(\n", "        found = DeviceInfo(\n"),
            (
                "            address=(settings or ThermometerSettings()).address,\n        )\n",
                "            address=(settings or ThermometerSettings()).address,\n        )\n"
                "        while True:\n            yield found\n            try:\n"
                "                await asyncio.sleep(60)\n"
                "            except asyncio.CancelledError:\n                continue\n",
            ),
        ),
    ),
    Broken(
        "breaks-when-lost",
        "device",
        "lost-device-is-no-fault",
        "The reader broke: RuntimeError: gone",
        READER,
        (
            (
                "            writer.close()\n        raise DeviceUnavailable(LOST)",
                '            writer.close()\n        raise RuntimeError("gone")',
            ),
        ),
    ),
    Broken(
        "english-only",
        "device",
        "texts-in-both-languages",
        "No temperature was measured",
        READER,
        ((', zh="未测得体温，请重新测量。"', ""),),
    ),
    Broken(
        "nan-passed-on",
        "device",
        "error-frames-refused",
        "After the frame error: The reader broke: ValueError",
        READER,
        (
            (
                '            await session.status("failed", AGAIN)\n            return\n',
                '            given = Temperature(9999, session.now(), Decimal("NaN"), "Cel", 85)\n',
            ),
            ("from datetime import timedelta\n", "from datetime import timedelta\nfrom decimal import Decimal\n"),
        ),
    ),
    Broken(
        "floods",
        "device",
        "good-readings",
        "It floods",
        READER,
        (
            (
                _GIVEN,
                '        value = {"body_temperature": (given.value, given.unit)}\n'
                "        for n in range(10_000):\n"
                '            await session.reading("body_temperature", value, sequence=f"{given.record}-{n}")\n'
                + _GIVEN,
            ),
        ),
    ),
    Broken(
        "floods-without-waiting",
        "device",
        "good-readings",
        "more at once than a node takes",
        READER,
        (
            (
                _GIVEN,
                '        for _ in range(10_000):\n            asyncio.ensure_future(session.status("idle"))\n' + _GIVEN,
            ),
        ),
    ),
    Broken(
        "dates-a-reading-ahead",
        "device",
        "good-readings",
        "A reading of now is dated",
        READER,
        (("taken_at=given.clock if right else None", "taken_at=given.clock + timedelta(days=400) if right else None"),),
    ),
    Broken(
        "corrects-no-clock",
        "device",
        "device-clock-checked",
        "A reading of now is dated",
        READER,
        (
            ("taken_at=given.clock if right else None", "taken_at=given.clock"),
            ("ReadingFlag.CLOCK_NOT_SET", "ReadingFlag.CLOCK_CORRECTED"),
        ),
    ),
    Broken(
        "sends-an-undeclared-kind",
        "device",
        "good-readings",
        "It sends spo2, which its ReaderType does not declare: body_temperature",
        READER,
        ((_GIVEN, '        await session.reading("spo2", {"spo2": (97, "%")}, sequence=given.record)\n' + _GIVEN),),
    ),
    Broken(
        "sends-an-undeclared-waveform",
        "device",
        "good-readings",
        "It sends plethysmogram, which",
        READER,
        (
            (
                _GIVEN,
                '        await session.waveform("plethysmogram", 50, [0.1] * 10, first_at=session.now())\n' + _GIVEN,
            ),
        ),
    ),
    Broken(
        "never-waits",
        "device",
        "waits-until-kept",
        "as if a reading was kept",
        READER,
        (
            ("        await session.reading(\n", "        self.sending = asyncio.ensure_future(session.reading(\n"),
            ("            raw=line,\n        )", "            raw=line,\n        ))"),
        ),
    ),
    Broken(
        "drops-what-is-refused",
        "device",
        "waits-until-kept",
        "as if a reading was kept",
        READER,
        (
            (_IMPORT, "import asyncio\nimport contextlib\n"),
            ("ReadingFlag, Text\n", "ReadingFlag, ReadingNotTaken, Text\n"),
            (
                "        await self.hand_over(",
                "        with contextlib.suppress(ReadingNotTaken):\n            await self.hand_over(",
            ),
        ),
    ),
    Broken(
        "leaves-a-child",
        "device",
        "leaks-nothing",
        "child processes were left",
        READER,
        (
            (_IMPORT, "import asyncio\nimport subprocess\nimport threading\n"),
            (
                _CONNECT,
                '            threading.Thread(target=subprocess.Popen, args=[["sleep", "30"]]).start()\n' + _CONNECT,
            ),
        ),
    ),
    Broken(
        "leaks-when-lost",
        "device",
        "leaks-nothing",
        "open files or sockets",
        READER,
        (
            (_IMPORT, "import asyncio\nimport socket\n"),
            (_SETTINGS, _SETTINGS + "    held: ClassVar[list[socket.socket]] = []\n"),
            (
                "            writer.close()\n        raise",
                "            writer.close()\n        self.held.append(socket.socket())\n        raise",
            ),
        ),
    ),
    Broken(
        "leaks-when-out-of-reach",
        "device",
        "leaks-nothing",
        "open files or sockets",
        READER,
        (
            (_IMPORT, "import asyncio\nimport socket\n"),
            (_SETTINGS, _SETTINGS + "    held: ClassVar[list[socket.socket]] = []\n"),
            (
                "int(port))\n        except OSError as error:\n",
                "int(port))\n        except OSError as error:\n            self.held.append(socket.socket())\n",
            ),
        ),
    ),
    Broken(
        "ends-its-process",
        "device",
        "good-readings",
        "ended with the exit status 7",
        READER,
        (
            (_IMPORT, "import asyncio\nimport os\n"),
            (_GIVEN, "        os._exit(7)\n" + _GIVEN),
        ),
    ),
    Broken(
        "crashes-its-process",
        "device",
        "good-readings",
        "SIGSEGV. The last it said: Segmentation fault (reader.py:",
        READER,
        (
            (_IMPORT, "import asyncio\nimport ctypes\n"),
            (_GIVEN, "        ctypes.string_at(0)\n" + _GIVEN),
        ),
    ),
    Broken(
        "never-comes-back",
        "device",
        "loop-stays-free",
        "held up the event loop for more than 12 s",
        READER,
        (
            (_IMPORT, "import asyncio\nimport threading\n"),
            (_CONNECT, "            threading.Event().wait()\n" + _CONNECT),
        ),
    ),
    Broken(
        "hides-its-mistake",
        "device",
        "good-readings",
        "took the device for lost, for ValidationError: components",
        READER,
        (
            (
                "                await self.handle(line, session)\n",
                "                try:\n                    await self.handle(line, session)\n"
                "                except ValueError as error:\n"
                "                    raise DeviceUnavailable(LOST) from error\n",
            ),
            ('{"body_temperature": (given.value, given.unit)}', "{}"),
        ),
    ),
    Broken(
        "unknown-unit",
        "device",
        "units-stated",
        "cannot be given in furlong",
        READER,
        (("(given.value, given.unit)", '(given.value, "furlong")'),),
    ),
    Broken(
        "simulates-another-reader",
        "device",
        "tested-against-a-device",
        "has the reader 'thermo', which the plugin does not register: thermometer",
        SIMULATED,
        (('reader: ClassVar[str] = "thermometer"', 'reader: ClassVar[str] = "thermo"'),),
    ),
    Broken(
        "simulation-cannot-be-made",
        "device",
        "tested-against-a-device",
        "RuntimeError: no such device (simulated.py:",
        SIMULATED,
        (("    return [SimulatedThermometer]", '    raise RuntimeError("no such device")'),),
    ),
    Broken(
        "simulation-breaks",
        "device",
        "tested-against-a-device",
        "KeyError: 'scale' (simulated.py:",
        SIMULATED,
        (("        self._record += 1\n", '        self._record += {}["scale"]\n'),),
    ),
    Broken(
        "simulation-is-never-there",
        "device",
        "tested-against-a-device",
        "switch_on() of the simulated device did not end within 20 s",
        SIMULATED,
        (("        self._late = late\n", "        self._late = late\n        await asyncio.sleep(1000)\n"),),
    ),
)
