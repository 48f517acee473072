// One turn each way through the HTTP door; tells what came back as JSON, a line a turn.
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({
  baseURL: process.env.DOOR_URL,
  apiKey: process.env.DOOR_KEY,
  maxRetries: 0,
});
const tell = (value) => console.log(JSON.stringify(value));
const turn = (model, more = {}) => ({
  model,
  max_tokens: 4000,
  messages: [{ role: "user", content: "hi" }],
  ...more,
});

for (const model of (process.env.DOOR_MODELS ?? "").split(",")) {
  const whole = await client.messages.create(turn(model));
  const events = [];
  const stream = client.messages.stream(turn(model));
  stream.on("streamEvent", (event) => events.push(event.type));
  const streamed = await stream.finalMessage();
  tell({
    model,
    whole: { content: whole.content, stop_reason: whole.stop_reason, usage: whole.usage },
    streamed: { content: streamed.content, stop_reason: streamed.stop_reason },
    output_tokens: streamed.usage.output_tokens,
    first: events[0],
    last: events.at(-1),
    cost: whole.spendgate.cost_usd,
  });
}

// What was thought goes back as it came.
const thought = await client.messages.create(turn(process.env.DOOR_THINKS));
const messages = [
  { role: "user", content: "hi" },
  { role: "assistant", content: thought.content },
  { role: "user", content: "go on" },
];
await client.messages.create(turn("happy", { messages }));

const counted = await client.messages.countTokens({ model: "happy", messages });
tell({ counted: counted.input_tokens });

try {
  await client.messages.create(turn("too-long"));
} catch (error) {
  tell({ refused: error.constructor.name, type: error.error.error.type, status: error.status });
}
