"""A plugin that does not run until a person has told it something."""

from pydantic import BaseModel, Field

from teleconsult.plugin_api import PluginInfo, hookimpl


class Settings(BaseModel):
    address: str = Field(min_length=1)


@hookimpl
def describe_plugin():
    return PluginInfo(title="Needs a setting", api_version="1.0", settings=Settings)
