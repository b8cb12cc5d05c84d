"""LiteLLM's proxy as its production page has it for one core: one uvicorn worker, quiet logs."""

from ops.bench.rivals.rival import LOOPBACK, Launch, Rival, Site

_ENV = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    # Otherwise it fetches its price list from the internet at each start.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DONT_SHOW_FEEDBACK_BOX": "True",
}

_CONFIG = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {upstream_url}/v1
      api_key: unused
litellm_settings:
  set_verbose: false
  callbacks: []
  num_retries: 0
  request_timeout: 600
general_settings:
  master_key: {key}
"""


def _launch(site: Site) -> Launch:
    config = site.scratch / "litellm.yaml"
    config.touch(mode=0o600)
    config.write_text(
        _CONFIG.format(model=site.model, upstream_url=site.upstream_url, key=site.key)
    )
    argv = (
        *(site.command("litellm"), "--config", str(config)),
        *("--host", LOOPBACK, "--port", str(site.port)),
        *("--num_workers", "1"),
    )
    return Launch(argv, _ENV)


RIVAL = Rival(
    name="litellm",
    setup="1 uvicorn worker, openai/ provider, master key, no database, callbacks or retries",
    launch=_launch,
    # 1.82.7 and 1.82.8 were published with malicious code.
    packages=("litellm[proxy]>=1.83.14",),
    distributions=("litellm",),
)
