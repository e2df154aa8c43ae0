"""Forms: how the weak model is taught in a request, and how it may work before it replies.

``composed`` makes the ``Form`` of a rule set: a scratchpad (``none``, ``tags``, ``two_pass``) with its ``examples``
and its ``worksheet`` around it. Callers follow a form's passes without knowing the form. A new form is one module with
a twin test and its place in ``composed``.
"""

from gateway.forms.base import UNCHANGED, Form, Pass
from gateway.forms.composed import FORMS, check_parts, composed
from gateway.forms.guidance import Guidance, compile_rule_text
from gateway.forms.none import NONE

__all__ = ["FORMS", "NONE", "UNCHANGED", "Form", "Guidance", "Pass", "check_parts", "compile_rule_text", "composed"]
