"""What the sample pages show: invented people, in the shape that the templates read."""

from __future__ import annotations

from typing import Any

PERSON_ID = "0195f3a0-0000-7000-8000-000000000001"
CONSULT_ID = "0195f3a0-0000-7000-8000-0000000000c1"

PATIENT = {
    "name": "雷金根",
    "sex_name": "男",
    "age": 67,
    "village": "大际村",
    "id_tail": "0017",
    "alerts": [
        {"code": "allergy", "label": "青霉素过敏"},
        {"code": "condition", "label": "高血压"},
    ],
}

CALL = {"consult_id": CONSULT_ID, "url": f"/consults/{CONSULT_ID}/call", "patient": "雷金根"}

DEVICES = [
    {"assignment_id": "d1", "name": "臂式血压计 2 号", "state": "measuring", "battery": 80},
    {"assignment_id": "d2", "name": "指夹血氧仪", "state": "idle", "battery": 15},
    {"assignment_id": "d3", "name": "血糖仪", "state": "searching", "battery": None},
]

READINGS = [
    {
        "id": "r1",
        "kind": "blood_pressure",
        "label": "血压",
        "value": "168/102",
        "unit": "mmHg",
        "time": "10:42",
        "status": "preliminary",
        "level": "warning",
        "extra": {"label": "脉率", "value": "84", "unit": "/min"},
        "marks": [{"level": "warning", "word": "高于控制目标"}],
        "previous": {"value": "146/90", "unit": "mmHg", "date": "2026-10-22"},
        "target": {"low": 90, "high": 150, "value": 168, "from": 70, "to": 210, "text": "目标 <150/90"},
        "device": "臂式血压计 2 号",
        "note": "随附信息：雷金根",
    },
    {
        "id": "r2",
        "kind": "spo2",
        "label": "血氧饱和度",
        "value": "97",
        "unit": "%",
        "time": "10:40",
        "status": "final",
        "extra": {"label": "脉率", "value": "82", "unit": "/min"},
        "previous": {"value": "96", "unit": "%", "date": "2026-10-22"},
        "device": "指夹血氧仪",
    },
    {
        "id": "r3",
        "kind": "glucose",
        "label": "血糖",
        "value": "17.2",
        "unit": "mmol/L",
        "time": "10:38",
        "status": "final",
        "level": "danger",
        "marks": [{"level": "danger", "word": "紧急范围"}],
        "previous": {"value": "9.8", "unit": "mmol/L", "date": "2026-10-22"},
        "target": {"low": 3.9, "high": 7.0, "value": 17.2, "from": 2, "to": 20, "text": "目标 <7.0（空腹）"},
        "device": "血糖仪",
    },
    {"kind": "body_temperature", "label": "体温", "unit": "°C", "sentence": "尚未测量"},
]

QUEUE = [
    {
        "consult_id": "q1",
        "urgency": "emergency",
        "name": "雷金根",
        "sex_name": "男",
        "age": "67 岁",
        "place": "2 号巡诊车 · 大际村",
        "reason": "胸闷两小时，伴出汗，既往高血压十年，今日未服药",
        "vitals": [
            {"label": "血压", "value": "186/112", "level": "danger"},
            {"label": "血氧", "value": "93", "level": "warning"},
            {"label": "脉率", "value": "104", "level": ""},
        ],
        "waited": "2 分钟",
    },
    {
        "consult_id": "q2",
        "urgency": "urgent",
        "state": "reassigned",
        "name": "蓝秀英",
        "sex_name": "女",
        "age": "58 岁",
        "place": "1 号巡诊车 · 东坑镇桃源村",
        "reason": "随机血糖 17.2，口渴多尿一周，自行停药",
        "vitals": [
            {"label": "血糖", "value": "17.2", "level": "danger"},
            {"label": "血压", "value": "138/84", "level": ""},
        ],
        "waited": "14 分钟",
    },
    {
        "consult_id": "q3",
        "urgency": "routine",
        "name": "吴大妹",
        "sex_name": "女",
        "age": "72 岁",
        "place": "4 号巡诊车 · 梅岐村",
        "reason": "膝关节疼痛三个月，上下楼加重，请骨科看片",
        "vitals": [{"label": "血压", "value": "142/80", "level": ""}],
        "waited": "31 分钟",
    },
]

STEPS = [
    {"label": "就诊原因", "href": "#1", "state": "done", "note": "头晕三天"},
    {"label": "体征", "href": "#2", "state": "current", "note": "已测 3 项"},
    {"label": "随访表", "href": "#3", "state": "open", "note": "高血压随访到期"},
    {"label": "会诊", "href": "#4", "state": "open"},
    {"label": "转诊", "href": "#5", "state": "open"},
    {"label": "完成", "state": "blocked", "note": "先采纳或重测血压"},
]

DUE = [
    ("雷金根", "男 67 岁", "高血压随访", "逾期 12 天", "warning"),
    ("蓝水英", "女 71 岁", "2 型糖尿病随访", "2026-11-20 到期", "off"),
    ("陈阿公", "男 83 岁", "老年人健康管理", "2026-11-30 到期", "off"),
    ("钟小梅", "女 34 岁", "转诊回访", "今天", "info"),
]


def _nav(kind: str, sample: str) -> list[dict[str, Any]]:
    if kind == "vehicle":
        items = [
            ("today", "今日巡诊", "today", 0),
            ("encounter", "就诊", "person", 0),
            ("consults", "会诊", "consult", 1),
            ("devices", "设备", "device", 0),
            ("outbox", "待上传", "upload", 3),
        ]
    else:
        items = [
            ("queue", "会诊队列", "queue", 3),
            ("consults", "我的会诊", "consult", 0),
            ("persons", "居民", "people", 0),
        ]
    return [
        {"key": key, "label": label, "icon": icon, "count": count, "active": key == sample, "href": f"#{key}"}
        for key, label, icon, count in items
    ]


def context(kind: str, sample: str) -> dict[str, Any]:
    """Everything that a sample page reads."""
    vehicle = kind == "vehicle"
    return {
        "node": {"kind": kind, "name": "2 号巡诊车" if vehicle else "县人民医院", "place": "大际村"},
        "person": {
            "id": PERSON_ID,
            "name": "李建平" if vehicle else "周文静",
            "username": "lijp",
            "role": "vehicle_doctor" if vehicle else "specialist",
            "role_name": "车载医生" if vehicle else "会诊专家",
        },
        "strip": {
            "place": "大际村" if vehicle else "心血管内科",
            "date": "2026-11-24",
            "uplink": {"online": sample != "states", "waiting": 3, "word": ""} if vehicle else None,
            "devices": DEVICES if vehicle else None,
            "measuring": {"name": "雷金根", "age": 67} if vehicle else None,
            "call": CALL if sample in ("encounter", "components") else None,
        },
        "patient": PATIENT if sample in ("encounter", "request", "call", "components") else None,
        "nav": _nav(kind, sample),
        "readings": READINGS,
        "queue": QUEUE,
        "steps": STEPS,
        "due": DUE,
    }
