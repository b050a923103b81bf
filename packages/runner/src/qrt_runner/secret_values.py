"""Parameters of the vendor's type SecretValue: made of the job's secrets and not of its input."""

import os
import re
import types
from typing import Annotated, Any, Union, get_args, get_origin

_HOMES = ("qhub.commons", "planqk.commons")


def secret_type(annotation: Any) -> type | None:
    """Return the class of a SecretValue parameter, optional ones included; None for any other.

    It is known by its name and home: what a program's environment holds is not imported here.
    """
    if get_origin(annotation) is Annotated:
        return secret_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        found = (secret_type(each) for each in get_args(annotation))
        return next((each for each in found if each is not None), None)
    if not isinstance(annotation, type) or annotation.__name__ != "SecretValue":
        return None
    return annotation if annotation.__module__.startswith(_HOMES) else None


def secret_of(name: str) -> str | None:
    """Return the secret that the job carries for a parameter: `ibmToken` and `ibm_token` have the same."""
    whole = name.isupper() or (name.upper() == name and "_" in name)
    return os.environ.get(f"SECRET_{name if whole else re.sub(r'(?<!^)(?=[A-Z])', '_', name).upper()}")
