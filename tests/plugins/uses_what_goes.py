"""A good plugin that takes an argument which tests declare deprecated."""

from teleconsult.plugin_api import ConsultEvent, PageContext, Panel, PluginInfo, Text, hookimpl


@hookimpl
def describe_plugin() -> PluginInfo:
    return PluginInfo(title=Text(en="Uses what goes", zh="使用将取消的接口"), api_version="1.0")


@hookimpl
def page_panels(context: PageContext, settings: None) -> list[Panel]:
    return [Panel(key="still", title=Text(en="Still drawn", zh="照常显示"))]


@hookimpl
def consult_event(event: ConsultEvent) -> None:
    pass
