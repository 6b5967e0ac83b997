"""Registers two readers under one key."""

from teleconsult.plugin_api import DeviceReader, PluginInfo, ReaderType, hookimpl


class Silent(DeviceReader):
    async def run(self, session):
        await session.next_command()


@hookimpl
def describe_plugin():
    return PluginInfo(title="Same key twice", api_version="1.0")


@hookimpl
def register_device_readers():
    return [ReaderType("a", "A", Silent, ("spo2",)), ReaderType("a", "B", Silent, ("spo2",))]
