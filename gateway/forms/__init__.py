"""Forms: how the weak model may work before it replies. The caller receives only the reply.

``FORMS`` maps the name that a rule set carries to its ``Form``. Whoever asks a model follows the form's passes without
knowing which form it is. A new form is one module here, one entry in ``FORMS`` and a twin test.
"""

from collections.abc import Mapping

from gateway.domain import Scratchpad
from gateway.forms.base import UNCHANGED, Form, Pass
from gateway.forms.guidance import Guidance, compile_rule_text
from gateway.forms.none import NONE
from gateway.forms.tags import TAGS
from gateway.forms.two_pass import TWO_PASS

__all__ = ["FORMS", "NONE", "UNCHANGED", "Form", "Guidance", "Pass", "compile_rule_text"]

FORMS: Mapping[Scratchpad, Form] = {"none": NONE, "tags": TAGS, "two_pass": TWO_PASS}
"""Every form by its name, the cheapest first."""
