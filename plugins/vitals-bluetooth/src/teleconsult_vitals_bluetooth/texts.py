"""Every sentence that the person at a device reads, in both languages."""

from __future__ import annotations

from teleconsult.plugin_api import Text

NO_RADIO = Text(
    en="Bluetooth cannot be used. Switch it on, or plug the adapter in.", zh="蓝牙不可用，请打开蓝牙或插好蓝牙适配器。"
)
NOT_FOUND = Text(
    en="The device was not found. Switch it on, and bring it nearer.", zh="未找到设备，请打开设备并靠近一些。"
)
NOT_CONNECTED = Text(
    en="The device was seen but did not connect. Switch it off and on.", zh="已发现设备但连接失败，请关机后重新开机。"
)
NOT_PAIRED = Text(
    en="The device refuses pairing. Put it into pairing mode, then start it again.",
    zh="设备拒绝配对，请让设备进入配对状态后重新启动。",
)
LOST = Text(en="The connection to the device was lost. It is looked for.", zh="与设备的连接已断开，正在查找。")
LOST_MEASURING = Text(
    en="The connection was lost during the measurement, and nothing was kept. Measure again.",
    zh="测量过程中连接断开，本次未记录，请重新测量。",
)
ASLEEP = Text(
    en="The device handed over its readings and switched itself off. It is found when it is used again.",
    zh="设备已传完数据并自动关机，再次使用时会自动连接。",
)
WRONG_SORT = Text(
    en="This device does not give such readings. Assign it as the sort of device that it is.",
    zh="该设备不提供此类测量，请按实际设备类型重新添加。",
)
FLOODED = Text(
    en="The device sends far more than it can measure. Switch it off and on.",
    zh="设备发送的数据异常过多，请关机后重新开机。",
)
NO_NUMBER = Text(en="The device gave no result. Measure again.", zh="设备未给出结果，请重新测量。")
ABOVE = Text(
    en="The result is above what the device can measure. Measure again; if it stays so, tell the doctor at once.",
    zh="结果超出设备量程上限，请复测；若仍如此请立即告知医生。",
)
BELOW = Text(
    en="The result is below what the device can measure. Measure again; if it stays so, tell the doctor at once.",
    zh="结果低于设备量程下限，请复测；若仍如此请立即告知医生。",
)
CONNECTED = Text(en="Connected.", zh="已连接。")
LOW_BATTERY = Text(en="The battery is nearly empty. Change it.", zh="电池电量过低，请更换电池。")

CUFF_READY = Text(en="Ready. Put the cuff on and press the start button.", zh="就绪，请绑好袖带后按下开始键。")
CUFF_FAILED = Text(
    en="The cuff could not measure. Place the cuff anew, sit still, do not talk, and measure again.",
    zh="血压测量失败，请重新绑好袖带，静坐不说话后再次测量。",
)
OXIMETER_READY = Text(en="Ready. Put the oximeter on a finger.", zh="就绪，请将血氧仪夹在手指上。")
OXIMETER_MEASURING = Text(en="Measuring. Hold the hand still.", zh="正在测量，请保持手部不动。")
NO_FINGER = Text(en="No finger in the oximeter. Put it on a finger.", zh="未检测到手指，请将血氧仪夹在手指上。")
NO_SIGNAL = Text(
    en="No usable pulse signal. Warm the finger, remove nail varnish, hold still.",
    zh="未检测到有效脉搏信号，请温暖手指、去除指甲油并保持不动。",
)
OXIMETER_FAULT = Text(
    en="The oximeter reports a fault. Switch it off and on; if it stays so, use another one.",
    zh="血氧仪报告故障，请关机后重新开机；仍有故障请更换。",
)
NOT_A_PERSON = Text(
    en="The device is in demonstration or test mode. Leave that mode and measure again.",
    zh="设备处于演示或测试模式，请退出后重新测量。",
)
NOTHING_STORED = Text(en="The device has no new stored readings.", zh="设备中没有新的存储记录。")
STORES_NOTHING = Text(en="This device stores no readings.", zh="该设备不存储测量记录。")
THERMOMETER_READY = Text(en="Ready. Take the temperature.", zh="就绪，请测量体温。")
THERMOMETER_FAILED = Text(
    en="The thermometer could not measure. Place it anew and measure again.", zh="体温测量失败，请重新放置后再次测量。"
)
METER_READY = Text(en="Ready. Insert a test strip.", zh="就绪，请插入试纸。")
FETCHING = Text(en="Fetching stored readings.", zh="正在读取存储的记录。")
FETCH_FAILED = Text(
    en="The stored readings could not all be fetched. Press Fetch again.", zh="存储记录未能全部读取，请再次点击读取。"
)
TOO_MANY_STORED = Text(
    en="The meter offers more stored readings than it can mean, and none was taken. Type the result in by hand.",
    zh="血糖仪传来的存储记录异常过多，均未接收，请手工录入本次结果。",
)
FETCH_REFUSED = Text(en="The device does not hand over its stored readings.", zh="该设备不支持读取存储记录。")
STRIP = Text(
    en="The test strip was not accepted. Take a new strip of the right sort and measure again.",
    zh="试纸无效，请换用正确型号的新试纸后重新测量。",
)
MORE_BLOOD = Text(
    en="There was too little blood. Take a new strip and measure again.", zh="采血量不足，请换新试纸重新测量。"
)
TOO_HOT_OR_COLD = Text(
    en="The meter is too hot or too cold. Let it come to room temperature and measure again.",
    zh="血糖仪温度过高或过低，请待恢复室温后重新测量。",
)
METER_FAULT = Text(
    en="The meter reports a fault. Measure again; if it stays so, use another one.",
    zh="血糖仪报告故障，请重新测量；仍有故障请更换。",
)
SCALE_READY = Text(en="Ready. Step on the scale and stand still.", zh="就绪，请站上体重秤并保持静止。")
SCALE_FAILED = Text(
    en="The scale could not weigh. Step off, step on again and stand still.",
    zh="称重失败，请下秤后重新站上并保持静止。",
)
SCALE_LACKING = Text(
    en="The scale sent only a part of its measurement, without the weight. Weigh again.",
    zh="体重秤只发送了部分数据，缺少体重，请重新称重。",
)
STRAP_READY = Text(en="Ready. Put the strap on.", zh="就绪，请佩戴心率带。")
STRAP_MEASURING = Text(en="Measuring the heart rate.", zh="正在测量心率。")
NO_CONTACT = Text(
    en="The strap does not touch the skin. Moisten it and put it on tighter.", zh="心率带未接触皮肤，请润湿电极并戴紧。"
)


def known(words: str) -> Text:
    """Connected, and to what: the device's own words."""
    return Text(en=f"Connected: {words}"[:500], zh=f"已连接：{words}"[:500])


def malformed(count: int) -> Text:
    """So many frames of this connection were no frames."""
    return Text(
        en=f"The device sent something unreadable ({count} so far), which was not kept. Measure again.",
        zh=f"设备发送的数据无法识别（已 {count} 次），未予记录，请重新测量。",
    )


def other_user(user: int, wanted: int) -> Text:
    """A reading of somebody else on a shared device."""
    return Text(
        en=f"A reading of user {user} was passed over: only user {wanted} is taken. Choose the user on the device.",
        zh=f"已忽略用户 {user} 的测量：只接收用户 {wanted}，请在设备上选择用户。",
    )


def cuff_pressure(pressure: str) -> Text:
    """The pressure in the cuff, with its unit."""
    return Text(en=f"Measuring. Pressure in the cuff: {pressure}", zh=f"正在测量，袖带压力：{pressure}")


def temperature_now(temperature: str) -> Text:
    """The temperature while it is still rising, with its unit."""
    return Text(en=f"Measuring: {temperature}", zh=f"正在测量：{temperature}")


def low_battery(ready: Text) -> Text:
    """Ready, and the battery is to be changed."""
    return both(LOW_BATTERY, ready)


def fasting_late(result: str) -> Text:
    """A context came when its result had been kept without."""
    return Text(
        en=f"The meter said too late that the result {result} was measured fasting, and it was kept without that. "
        "Enter it by hand as fasting glucose.",
        zh=f"血糖仪事后才说明结果 {result} 为空腹血糖，未能按空腹记录，请手工补录为空腹血糖。",
    )


def fasting_unknown(result: str) -> Text:
    """The meter went before the context came that it had announced."""
    return Text(
        en=f"The meter was gone before it said whether the result {result} was measured fasting. "
        "If it was, enter it by hand as fasting glucose.",
        zh=f"血糖仪在说明结果 {result} 是否为空腹血糖之前已断开；如为空腹，请手工补录为空腹血糖。",
    )


def both(first: Text, second: Text) -> Text:
    """One sentence after the other."""
    return Text(en=f"{first.en} {second.en}"[:500], zh=f"{first.zh}{second.zh}"[:500])


def undated(sentence: Text) -> Text:
    """What a sentence is about may be of any day."""
    return Text(en=f"Measured at an unknown time. {sentence.en}", zh=f"测量时间不明。{sentence.zh}")


def of_time(sentence: Text, at: str) -> Text:
    """What a sentence is about, by its time."""
    return Text(en=f"{at}: {sentence.en}", zh=f"{at}：{sentence.zh}")


def partly_fetched(count: int, unreadable: int) -> Text:
    """So many stored readings were fetched, and so many of the device's frames were none."""
    return Text(
        en=f"{count} stored readings were fetched; {unreadable} could not be read. Look at the device's own display.",
        zh=f"已读取 {count} 条存储记录，另有 {unreadable} 条无法识别，请查看设备屏幕。",
    )


def fetched(count: int) -> Text:
    """So many stored readings were fetched."""
    return Text(en=f"{count} stored readings were fetched.", zh=f"已读取 {count} 条存储记录。")
