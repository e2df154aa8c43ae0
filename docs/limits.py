"""Writes docs/limits.md: every bound, its value, what happens beyond it, and the test that shows it.

Run by ``make docs``. Values are read from settings and modules and never repeated here; ``tests/test_limits_page.py``
fails while file and code differ, for a bound that is missing, and for a consequence that the wire does not confirm.
"""

import importlib
import inspect
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gateway.settings.caching import Caching
from gateway.settings.graders import PythonTestsGrader
from gateway.settings.sections import Settings, Task
from gateway.settings.upstreams import OpenAISettings

TARGET = Path(__file__).parent / "limits.md"

HEAD = """\
# Limits

Generated from the code by `make docs`; do not edit.

Every wait ends and every store of bytes is bounded. A name in the second column is a setting
([configuration](configuration.md)); *fixed* is a constant of the program. Errors have OpenAI's shape; a word behind the
status is its `code`. The last column names the test, below `tests/`.
"""


class Bound(NamedTuple):
    """A row of the page."""

    what: str
    source: str
    """``server.max_body_mb``, or ``gateway.module:NAME``; a parameter's default is ``module:Function(parameter)``."""
    unit: str
    beyond: str
    """The consequence: a status and a code, or a sentence."""
    test: str
    """``file::function`` below ``tests``."""


CUT = "The connection is cut; `408` if no answer has begun."

AREAS: dict[str, tuple[Bound, ...]] = {
    "Clients: connections, time and bytes": (
        Bound("Connections of a process", "server.max_connections", "connections",
              "Idle ones are closed for new ones; else `503` `too_many_connections`.",
              "test_http_server_connection.py::test_a_house_full_of_requests_refuses_a_newcomer"),
        Bound("Silence in the middle of a request", "server.silence_timeout_s", "s", CUT,
              "test_http_server_connection.py::test_a_client_that_falls_silent_is_not_waited_for"),
        Bound("Time for a head", "server.head_timeout_s", "s", CUT,
              "test_http_server_connection.py::test_a_dripping_client_is_not_waited_for"),
        Bound("Time for a whole request", "server.body_timeout_s", "s", CUT,
              "test_http_server_connection.py::test_a_dripping_client_is_not_waited_for"),
        Bound("Time to take 64 KiB of an answer", "server.write_timeout_s", "s", "The connection is cut.",
              "test_http_server_connection.py::test_a_client_that_does_not_read_is_cut_off"),
        Bound("Time without a request", "server.keep_alive_s", "s", "The connection is closed.",
              "test_http_server_connection.py::test_a_connection_that_nobody_uses_is_closed"),
        Bound("Head of a request", "gateway.http_server.connection:MAX_HEAD", "bytes", "`431`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Body of a request", "server.max_body_mb", "MB", "`413`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Body that is only handed on", "server.max_upload_mb", "MB", "`413`",
              "test_api_upload.py::test_an_upload_beyond_the_limit_is_refused"),
        Bound("All bodies that a process holds", "server.max_bodies_mb", "MB", "`503` `too_many_bodies`",
              "test_api_endpoint.py::test_all_bodies_together_have_a_bound"),
        Bound("JSON values of a body", "server.max_json_values", "values", "`413` `too_many_values`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Body of an admin request", "gateway.api.admin_access:MAX_BODY", "bytes", "`413`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
    ),
    "Upstreams": (
        Bound("Time to connect", "upstreams.NAME.connect_timeout_s", "s", "`504` `upstream_timeout`",
              "test_upstream_http.py::test_a_connection_that_is_not_made_in_time_is_a_time_out"),
        Bound("Time to the first byte", "upstreams.NAME.first_byte_timeout_s", "s", "`504` `upstream_timeout`",
              "test_limits_page.py::test_an_upstream_beyond_its_bounds"),
        Bound("Time between two pieces", "upstreams.NAME.idle_timeout_s", "s",
              "`504` `upstream_timeout`; an error event in a stream.",
              "test_upstream_http.py::test_the_idle_time_out_runs_between_two_pieces_of_a_stream"),
        Bound("Time for a whole answer", "upstreams.NAME.total_timeout_s", "s",
              "`504` `upstream_timeout`; an error event in a stream.",
              "test_upstream_http.py::test_the_total_time_out_ends_an_answer_that_never_pauses"),
        Bound("An answer", "upstreams.NAME.max_answer_mb", "MB", "`502` `upstream_too_large`",
              "test_limits_page.py::test_an_upstream_beyond_its_bounds"),
        Bound("The body of an error", "gateway.upstream.http_reply:_ERROR_BYTES", "bytes",
              "`502` `upstream_too_large`", "test_upstream_http_reply.py::test_an_error_has_a_bound_of_its_own"),
        Bound("An event of a stream", "gateway.formats.sse:MAX_EVENT", "bytes", "`502` `upstream_garbage`",
              "test_formats_sse.py::test_an_event_without_end_is_garbage"),
        Bound("Head, trailers and framing of an answer", "gateway.upstream.http1_answer:_BARE_BYTES", "bytes",
              "`502` `upstream_garbage`", "test_upstream_http1_answer.py::test_what_is_not_body_is_bounded"),
        Bound("Name of a tool in a chat made from Anthropic's words", "gateway.formats.messages_turns:LONGEST_NAME",
              "characters", "The name is shortened, and long again in the reply.",
              "test_formats_messages_turns.py::test_long_names_are_shortened_to_names_of_their_own"),
        Bound("Requests under way", "upstreams.NAME.max_connections", "requests", "More wait for their turn.",
              "test_upstream_guarded.py::test_a_call_over_the_limit_waits_for_its_turn"),
        Bound("Wait for a turn", "upstreams.NAME.queue_timeout_s", "s", "`503` `upstream_busy`",
              "test_upstream_guarded.py::test_who_waits_too_long_is_told_to_come_back"),
        Bound("Further attempts", "upstreams.NAME.retries", "attempts", "The upstream's own answer or error.",
              "test_upstream_guarded.py::test_the_last_of_all_replies_tells_the_client_not_to_repeat"),
        Bound("A pause that an upstream asks for", "upstreams.NAME.retry_after_cap_s", "s",
              "The upstream's own answer goes to the client.",
              "test_upstream_guarded.py::test_a_long_retry_after_goes_to_the_client"),
        Bound("Failures in a row", "upstreams.NAME.breaker_failures", "failures", "`503` `upstream_resting`",
              "test_upstream_guarded.py::test_after_failures_in_a_row_the_upstream_is_left_alone"),
    ),
    "Feedback": (
        Bound("Body", "gateway.api.feedback:_MAX_BODY", "bytes", "`413`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Judgements of a reply by one sender", "gateway.store.base:MAX_FEEDBACK", "judgements", "`409`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Judgements of a reply by all", "gateway.store.base:MAX_FEEDBACK_OF_ALL", "judgements", "`409`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("A comment", "gateway.api.feedback:LONGEST_COMMENT", "characters", "`400`, param `comment`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("A labeller's name", "gateway.api.feedback:LONGEST_NAME", "characters", "`400`, param `labeller`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("Levels of an expected answer", "gateway.expected:MAX_DEPTH", "levels", "`400`, param `expected`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("A number in an expected answer", "gateway.expected:MAX_NUMBER", "", "`400`, param `expected`",
              "test_limits_page.py::test_the_wire_says_what_the_page_says"),
        Bound("A regular expression as expected answer", "gateway.linear_regex:_LONGEST", "characters",
              "It grades no reply; the cycle says so.",
              "test_limits_page.py::test_a_long_expression_grades_nothing"),
        Bound("Steps of an expression that extracts (grader `regex`)", "gateway.linear_match:MOST_STEPS", "steps",
              "It is refused with the configuration.",
              "test_linear_match.py::test_what_takes_time_without_a_bound_is_refused"),
        Bound("A compiled expression", "gateway.linear_regex:_LARGEST", "bytes",
              "It grades no reply; the cycle says so.",
              "test_linear_regex.py::test_any_text_is_an_expression_or_a_wrong_one"),
    ),
    "Records": (
        Bound("Exchanges of a worker waiting for the database",
              "gateway.store.recorder.outbox:Outbox(max_rows)", "exchanges",
              "New ones are not recorded; counted as dropped.",
              "test_store_recorder_outbox.py::test_above_the_bound_of_rows_exchanges_are_dropped_and_counted"),
        Bound("Their bytes", "gateway.store.recorder.outbox:Outbox(max_bytes)", "bytes",
              "New ones are not recorded; counted as dropped.",
              "test_store_recorder_outbox.py::test_above_the_bound_of_bytes_exchanges_are_dropped_and_counted"),
        Bound("Request and reply of a record", "server.max_record_mb", "MB",
              "It is recorded without its texts; `409` for feedback on it.",
              "test_recording.py::test_a_huge_exchange_is_recorded_without_its_texts"),
        Bound("The reply in the record of an unfinished request", "gateway.recording:MOST_UNFINISHED", "characters",
              "The rest is not recorded.",
              "test_recording.py::test_an_unfinished_reply_is_recorded_from_its_beginning"),
        Bound("A page of records read at once", "gateway.store.selection:PAGE_BYTES", "bytes",
              "The rest is read later.", "test_store_base.py::test_a_page_ends_before_it_is_too_large"),
        Bound("Age of an exchange", "server.retention_days", "days", "It is deleted with its feedback.",
              "test_store_retention.py::test_what_is_too_old_goes_a_batch_at_a_time"),
        Bound("Database", "server.max_store_gb", "GB", "The oldest exchanges are deleted with their feedback.",
              "test_store_retention.py::test_the_file_of_a_database_stays_within_its_size"),
        Bound("Requests that wait for their line in the log", "gateway.metrics.request_log:MOST_NOTES", "requests",
              "They get no line, and are counted.",
              "test_metrics_request_log.py::test_nobody_who_reads_costs_lines_and_no_memory"),
        Bound("Spans that wait for the collector", "gateway.metrics.spans:MOST_SPANS", "spans",
              "They are dropped and counted.",
              "test_metrics_spans.py::test_a_collector_that_is_away_is_told_once_and_costs_no_memory"),
    ),
    "Kept replies": (
        Bound("Memory of a task's replies, in a worker", "tasks.NAME.cache.max_mb", "MB", "The least used are dropped.",
              "test_reply_cache.py::test_the_memory_is_never_exceeded"),
        Bound("Life of a kept reply", "tasks.NAME.cache.seconds", "s", "The model is asked.",
              "test_reply_cache.py::test_a_kept_reply_is_there_until_its_time_is_over"),
    ),
    "Rules, examples and worksheets": (
        Bound("A rule by the strong model", "optimizer.distillation.induction.lint:MAX_LENGTH", "characters",
              "The rule is rejected, with the reason in the outcome.",
              "test_limits_page.py::test_a_long_rule_is_rejected"),
        Bound("Rules of a set", "optimizer.max_rules", "rules", "The least useful are left out.",
              "test_optimizer_distillation_induction_induce.py::test_no_more_rules_than_allowed_are_kept"),
        Bound("Examples of a version", "gateway.forms.composed:MOST_EXAMPLES", "examples", "`400`: it is not stored.",
              "test_forms_composed.py::test_a_version_that_cannot_serve_is_refused"),
        Bound("Examples of a version that shows all", "gateway.forms.composed:MOST_FIXED", "examples",
              "`400`: it is not stored.", "test_forms_composed.py::test_a_version_that_cannot_serve_is_refused"),
        Bound("Nearest examples that are shown", "gateway.teaching:MOST_NEAREST", "examples",
              "`400`: it is not stored.", "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("A question or answer of an example", "gateway.forms.composed:LONGEST_EXAMPLE", "characters",
              "`400`: it is not stored.", "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("A condition", "gateway.forms.cel:MAX_LENGTH", "characters", "`400`: it is not stored.",
              "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("Nesting of a condition", "gateway.forms.cel:MAX_DEPTH", "levels", "`400`: it is not stored.",
              "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("Names, operators and literals of a condition", "gateway.forms.cel:MAX_NODES", "parts",
              "`400`: it is not stored.", "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("A text that a condition builds", "gateway.forms.cel_values:MAX_SIZE", "characters",
              "The condition does not hold.",
              "test_forms_cel_values.py::test_a_sum_of_texts_or_lists_is_bounded"),
        Bound("Fields of a worksheet", "gateway.forms.worksheet_fields:MOST_FIELDS", "fields",
              "`400`: it is not stored.", "test_limits_page.py::test_what_cannot_serve_is_refused"),
        Bound("A filled-in worksheet", "gateway.forms.worksheet_fields:LONGEST_ANSWER", "characters",
              "The rest is not read.", "test_forms_worksheet_fields.py::test_a_long_answer_is_cut"),
        Bound("A question in a worksheet's conditions", "gateway.forms.worksheet:LONGEST_TEXT", "characters",
              "The rest is not read.", "test_forms_worksheet.py::test_conditions_read_the_beginning_of_a_question"),
    ),
    "Learning": (
        Bound("Graded exchanges of a cycle", "optimizer.max_items", "exchanges", "Older ones are left out.",
              "test_optimizer_dataset_sampling.py::test_a_spread_is_the_newest_half_and_some_of_all_that_is_older"),
        Bound("Requests and replies that a cycle reads", "optimizer.max_read_mb", "MB", "The largest are left out.",
              "test_optimizer_scheduling_learner.py::test_a_cycle_reads_no_more_than_it_may"),
        Bound("Exchanges of a conversation in a cycle", "optimizer.dataset.sampling:PER_CONVERSATION", "exchanges",
              "Older ones are left out.", "test_optimizer_dataset_sampling.py::test_a_cap_keeps_the_first_of_each_key"),
        Bound("Share of a key or a user in a cycle", "optimizer.max_share_per_tenant", "share",
              "More are left out.", "test_optimizer_dataset_sampling.py::test_no_tenant_has_more_than_its_share"),
        Bound("Examples shown to the strong model in a call", "optimizer.shown_characters", "characters",
              "The rest is not shown.",
              "test_optimizer_distillation_induction_exhibit.py::test_what_is_shown_is_bounded"),
        Bound("A client's comment in the strong model's prompt", "optimizer.dataset.remarks:LONGEST", "characters",
              "The rest is not shown.", "test_optimizer_dataset_remarks.py::test_a_remark_is_bounded"),
        Bound("Paid calls of a cycle", "optimizer.budget_calls", "calls", "The cycle ends, and says so.",
              "test_optimizer_evaluation_budget.py::test_a_call_beyond_the_budget_is_refused_before_it_is_made"),
        Bound("Paid tokens of a cycle", "optimizer.budget_tokens", "tokens", "The cycle ends, and says so.",
              "test_optimizer_evaluation_budget.py::test_a_call_beyond_the_budget_is_refused_before_it_is_made"),
        Bound("A pause that a provider asks learning for", "optimizer.retry_after_cap_s", "s",
              "The cycle ends and is resumed later.",
              "test_optimizer_evaluation_evaluator.py::test_a_pause_beyond_the_bound_ends_the_run"),
        Bound("Silence of the learning process", "optimizer.hang_s", "s", "It is killed and started again.",
              "test_optimizer_scheduling_process_pulse.py::test_silence_for_the_whole_time_is_a_hang"),
        Bound("Comparing calls of a task in 24 hours", "tasks.NAME.shadow.calls_per_day", "calls",
              "No more are made.",
              "test_optimizer_monitoring_shadow_paired_answers.py::test_the_budget_of_the_day_bounds_the_calls"),
        Bound("Cached answers on disk", "optimizer.evaluation.answer_cache:SIZE_LIMIT", "bytes",
              "The oldest are dropped.",
              "test_optimizer_evaluation_answer_cache.py::test_the_oldest_answers_make_room"),
        Bound("Time of a reply's code and tests", "tasks.NAME.grader.timeout_s", "s", "The reply is wrong.",
              "test_optimizer_grading_graders_python_tests.py::test_code_is_run_with_its_tests_and_within_the_limits"),
        Bound("Their memory", "tasks.NAME.grader.memory_mb", "MB", "The reply is wrong.",
              "test_optimizer_grading_graders_python_tests.py::test_code_is_run_with_its_tests_and_within_the_limits"),
    ),
}  # fmt: skip


def reference() -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for area, bounds in AREAS.items():
        parts += [f"## {area}\n", "| bound | setting | default | beyond it | shown by |", "|---|---|---|---|---|"]
        for bound in bounds:
            setting = "fixed" if ":" in bound.source else f"`{bound.source}`"
            cells = [bound.what, setting, _written(value(bound), bound.unit), bound.beyond]
            parts.append("| " + " | ".join([*cells, f"`{bound.test}`"]) + " |")
        parts[-1] += "\n"
    return "\n".join(parts)


def value(bound: Bound) -> Any:
    """The value in the code: a setting's default, a constant, or a parameter's default."""
    module, colon, name = bound.source.partition(":")
    if colon:
        owner = importlib.import_module(module)
        function, bracket, parameter = name.removesuffix(")").partition("(")
        held = getattr(owner, function)
        return inspect.signature(held).parameters[parameter].default if bracket else held
    kind, _, path = bound.source.rpartition(".")
    fields = {field.name: field for field in msgspec.structs.fields(_SECTIONS[kind])}
    return fields[path].default


def _section(name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(Settings) if field.name == name)


_SECTIONS: dict[str, Any] = {
    "server": _section("server"),
    "optimizer": _section("optimizer"),
    "upstreams.NAME": OpenAISettings,
    "tasks.NAME.cache": Caching,
    "tasks.NAME.grader": PythonTestsGrader,
    "tasks.NAME.shadow": type(next(field.default for field in msgspec.structs.fields(Task) if field.name == "shadow")),
}


def _written(number: Any, unit: str) -> str:
    if number is None:
        return "see there"  # it depends on the machine, or there is none
    return f"{number:,} {unit}".strip() if isinstance(number, int) else f"{number:g} {unit}".strip()


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
