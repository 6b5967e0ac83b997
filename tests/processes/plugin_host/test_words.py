"""What the node says of faults and settings is understood again, and said in Chinese."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, HttpUrl, IPvAnyAddress, ValidationError, field_validator

from teleconsult.i18n import translator
from teleconsult.plugin_host import _faults, translate_fault
from teleconsult.plugin_host._problems import SENTENCES, problems_of, told

zh = translator("zh")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("device cuff-1: it was not heard for 10 s", "设备 cuff-1: 10 秒没有回应"),
        (
            "device a:b: its process ended by itself with status -11; it said last: its process has ended",
            "设备 a:b: 进程自行结束，状态码 -11; 最后的输出: its process has ended",
        ),
        (
            "page_panels did not answer within 1 s; its process was ended",
            "page_panels 1 秒内没有回应，进程已结束",
        ),
        (
            "address: This has to be filled in.; rate: It has to be more than 0.5.",
            "address: 此项必填。; rate: 须大于 0.5。",
        ),
        ("how: Choose one of these: 'well', 'a b'.", "how: 请从以下选项中选择：'well', 'a b'。"),
        ("assess: KeyError: 'device x: 5' (rules.py:7)", "assess: KeyError: 'device x: 5' (rules.py:7)"),
    ],
)
def test_a_fault_is_told_in_chinese_and_the_plugins_own_words_stay(fault: str, words: str) -> None:
    assert translate_fault(fault, zh) == words
    assert translate_fault(fault, lambda text: text) == fault


def test_every_sentence_of_the_node_is_found_again() -> None:
    filled = dict.fromkeys(("seconds", "status", "count", "theirs", "ours", "device", "reader"), "5")
    for sentence in _faults._SENTENCES:
        assert translate_fault(sentence % filled, lambda _: "found") == "found", sentence
    for sentence in _faults._SUBJECTS:
        assert translate_fault(f"{sentence % filled}: x", lambda _: "found") == "found: x", sentence


class Model(BaseModel):
    port: int = Field(ge=1, le=65535)
    rate: float = Field(gt=0, lt=10)
    name: str = Field(min_length=2, max_length=5, pattern="^[a-z]+$")
    how: Literal["well", "badly", "not"]
    at: HttpUrl
    ip: IPvAnyAddress
    hosts: list[Annotated[str, Field(min_length=1)]] = Field(max_length=2)
    even: int

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number, please 请填偶数")
        return value


GOOD: dict[str, Any] = {
    "port": 1, "rate": 1, "name": "abc", "how": "well", "at": "https://a.example", "ip": "::1", "hosts": [], "even": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "where", "words"),
    [
        ("port", 0, "", "不能小于 1。"),
        ("port", 70000, "", "不能大于 65535。"),
        ("port", "many", "", "请填写整数。"),
        ("rate", 0, "", "须大于 0.0。"),
        ("name", "a", "", "至少 2 个字符。"),
        ("name", "A-B", "", "格式须符合 ^[a-z]+$。"),
        ("how", "so", "", "请从以下选项中选择：'well', 'badly', 'not'。"),
        ("at", "somewhere", "", "请填写网址，如 https://example.org。"),
        ("at", "ftp://a.example", "", "网址须以下列之一开头：'http', 'https'。"),
        ("ip", "here", "", "请填写 IP 地址，如 192.168.1.20。"),
        ("hosts", ["a", ""], "1", "至少 1 个字符。"),
        ("hosts", ["a", "b", "c"], "", "最多 2 项。"),
        ("even", 3, "", "an even number, please 请填偶数"),
    ],
)
def test_what_is_wrong_with_a_setting_is_told_in_chinese(name: str, value: Any, where: str, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Model.model_validate({**GOOD, name: value})
    [(found, problem)] = problems_of(told(refused.value)).items()
    assert (found, problem.where) == (name, where)
    assert (zh(problem.sentence) % problem.values if problem.values else zh(problem.sentence)) == words


def test_a_missing_setting_and_an_error_that_nobody_knows() -> None:
    with pytest.raises(ValidationError) as refused:
        Model.model_validate({name: value for name, value in GOOD.items() if name != "port"})
    assert problems_of(told(refused.value))["port"].sentence == SENTENCES["missing"]
    unknown = {"port": {"type": "new_in_pydantic_9", "message": "Not so, 100 %", "context": {}}}
    assert problems_of(unknown)["port"].english == "Not so, 100 %"
    changed = {"port": {"type": "greater_than", "message": "Not so", "context": {"bound": 1}}}
    assert problems_of(changed)["port"].english == "Not so"
