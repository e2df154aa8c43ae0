"""Request fields allowed to keys with limits. Others are refused: an upstream may read them as a choice of model.

OpenAI's and Anthropic's parameters, and the sampling parameters of common model servers. Left out on purpose: routing
(``models``, ``fallbacks``, ``route``, ``provider``, ``engine``), addresses and keys (``api_base``, ``api_key``), and
replacements of the instructions (``chat_template``, a stored ``prompt``). ``keys.NAME.fields`` adds to the lists.
"""

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAMPLING: Final = _names("""
    temperature top_p top_k top_a min_p typical_p tfs_z epsilon_cutoff eta_cutoff presence_penalty frequency_penalty
    repetition_penalty repeat_penalty repeat_last_n length_penalty no_repeat_ngram_size mirostat mirostat_tau
    mirostat_eta dynatemp_range dynatemp_exponent dry_multiplier dry_base dry_allowed_length dry_penalty_last_n
    dry_sequence_breakers xtc_probability xtc_threshold samplers seed random_seed min_tokens ignore_eos stop
    stop_token_ids include_stop_str_in_output bad_words logit_bias use_beam_search early_stopping n best_of
    max_tokens max_completion_tokens num_ctx num_predict n_predict
""")
_SHARED: Final = _names("""
    model stream stream_options user metadata store service_tier safety_identifier prompt_cache_key
    prompt_cache_options prompt_cache_retention cache_prompt cache_salt logprobs top_logprobs prompt_logprobs
    return_tokens_as_token_ids skip_special_tokens spaces_between_special_tokens truncate_prompt_tokens keep_alive
""")
_STRUCTURED: Final = _names("""
    response_format structured_outputs guided_json guided_regex guided_choice guided_grammar grammar json_schema
""")
CHAT: Final = (
    _SHARED
    | _SAMPLING
    | _STRUCTURED
    | _names("""
    messages tools tool_choice parallel_tool_calls functions function_call audio modalities moderation prediction
    reasoning reasoning_effort reasoning_format include_reasoning thinking enable_thinking think chat_template_kwargs
    verbosity web_search_options add_generation_prompt continue_final_message add_special_tokens documents safe_prompt
    prefix
""")
)
TEXT: Final = _SHARED | _SAMPLING | _STRUCTURED | _names("prompt suffix echo raw add_special_tokens")
EMBEDDINGS: Final = _names("""
    model input dimensions encoding_format user truncate truncate_prompt_tokens input_type task_type keep_alive
""")
RESPONSES: Final = (
    _SHARED
    | _SAMPLING
    | _names("""
    input instructions text tools tool_choice parallel_tool_calls reasoning include background conversation
    previous_response_id max_output_tokens max_tool_calls truncation context_management moderation verbosity
""")
)
MESSAGES: Final = CHAT | _names("""
    system stop_sequences output_config cache_control context_management diagnostics speed
""")
OLLAMA: Final = _names("""
    model messages prompt suffix system images input stream format options think tools tool_choice raw keep_alive
    logprobs top_logprobs dimensions truncate user metadata
""")
"""Fields of Ollama's own API. They are read here and written anew, so no other spelling reaches an upstream."""
KNOWN: Final = CHAT | TEXT | EMBEDDINGS | RESPONSES | MESSAGES
"""Every name in the lists: no field of any request may be a misspelling of one."""
