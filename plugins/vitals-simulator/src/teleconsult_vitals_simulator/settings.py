"""What can be set, as the administrator's page shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from teleconsult_vitals_simulator.body import Profile


class SimulatorSettings(BaseModel):
    """Settings of all simulated devices of this node: they belong to one simulated person."""

    profile: Profile = Field(
        default=Profile.NORMAL,
        title="Person 模拟对象",
        description="normal 正常, hypertensive 高血压, hypoxic 低氧, feverish 发热",
    )
    seed: int = Field(
        default=1,
        ge=0,
        le=999_999,
        title="Seed 随机种子",
        description="The same seed gives the same person. 相同种子产生相同的模拟对象。",
    )
    speed: float = Field(
        default=1.0,
        ge=1.0,
        le=200.0,
        title="Speed-up 加速",
        description="How much faster the cuff and the thermometer measure than real ones. 袖带和体温计测量的加速倍数。",
    )
