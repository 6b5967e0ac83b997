"""A plugin whose settings have secrets, one of each sort, and which shows that it was given them."""

from pydantic import BaseModel, Secret, SecretStr

from teleconsult.plugin_api import Panel, PanelRow, PluginInfo, hookimpl


class Login(BaseModel):
    user: str = ""
    password: SecretStr = SecretStr("")


class Settings(BaseModel):
    password: SecretStr = SecretStr("")
    token: SecretStr | None = None
    pin: Secret[int] | None = None
    keys: list[SecretStr] = []
    login: Login = Login()
    many: int = 10


@hookimpl
def describe_plugin():
    return PluginInfo(title="Secretive", api_version="1.0", settings=Settings)


@hookimpl
def page_panels(context, settings):
    given = [settings.password, settings.token, settings.pin, *settings.keys, settings.login.password]
    told = " ".join(str(secret.get_secret_value()) for secret in given if secret is not None)
    return [Panel(key="told", title="Told", rows=(PanelRow(label="secrets", value=told),))]
