"""A fleet whose provider, collector and cache can be made to fail."""

from tests.e2e.house import House
from tests.faults.envoy import ROUTES, Envoy, why_not
from tests.faults.proxy import Proxy

PROVIDER_KEY = "sk-Magpie-canary-2290"
FAULTS = [route["match"]["prefix"].strip("/") for route in ROUTES]
PRICE = '{input_usd_per_million: "1", output_usd_per_million: "2"}'
MODEL = """
  {name}: {{provider: {provider}, upstream_model: {upstream}, routable: false, capabilities: [],
    context_window_tokens: 100000, output_tokens_max: 4096, output_tokens_default: 64,
    fallbacks: [{fallbacks}], price: {price}}}"""
# A provider that always fails is judged by each test anew.
RULES = """
retry: {attempts_max: 2, backoff_seconds: 0.01, breaker: {enabled: false}}
"""


class FaultHouse(House):
    """Envoy stands before the provider, a proxy before the collector."""

    async def stand_before(self, enter):
        self.collector = await enter(Proxy(self.sink.endpoint))
        self.envoy = None
        if not why_not():
            target = self.upstream.base_url.removeprefix("http://").removesuffix("/v1")
            self.envoy = await enter(Envoy(self.folder / "envoy", target))

    def fleet_file(self):
        """The fleet of the other tests, and a model behind each fault, the well one after it."""
        text = super().fleet_file()
        text = text[: text.index("retry:")]
        if self.envoy is None:
            return text + RULES
        providers = "".join(
            f'  {word}: {{base_url: "{self.envoy.base_url(word)}", timeout_seconds: 1,'
            f" api_key_env: PROVIDER_KEY}}\n"
            for word in FAULTS
        )
        models = "".join(
            MODEL.format(
                name=f"{word}-{upstream}",
                provider=word,
                upstream=upstream,
                fallbacks="" if word == "well" else "well-good",
                price=PRICE,
            )
            for word in FAULTS
            for upstream in ("good", "slow", "usage-impossible")
        )
        text = text.replace("models:\n", f"{providers}models:{models}\n", 1)
        return text + RULES

    @property
    def key_file(self):
        """A provider's key as a mounted file."""
        return self.folder / "filed.key"

    def _environment(self, name):
        env = super()._environment(name)
        env["SPENDGATE_OTLP_ENDPOINT"] = self.collector.address
        env["PROVIDER_KEY"] = PROVIDER_KEY
        env["FILED_KEY_FILE"] = str(self.key_file)
        env["SPENDGATE_RELOAD_SECONDS"] = "0.3"
        if name in ("tokenizer", "cache"):
            del env["SPENDGATE_RELOAD_SECONDS"]
        return env

    def logs(self):
        """Everything that the processes wrote."""
        return "".join(self.log(name).read_text(errors="replace") for name in self.processes)
