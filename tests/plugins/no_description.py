"""Forgot describe_plugin()."""

from teleconsult.plugin_api import hookimpl


@hookimpl
def page_panels(context):
    return []
