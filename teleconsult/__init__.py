"""Video consults between clinic vehicles and a county hospital."""

__version__ = "0.1.0"
