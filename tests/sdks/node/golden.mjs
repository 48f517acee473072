// Calls the HTTP door with the official SDK, unchanged. Prints one JSON line a case.
// CHAT_URL has a chat provider behind it, RESPONSES_URL one of the Responses API, FULL_URL is full.
import OpenAI from "openai";

const client = (url) => new OpenAI({ baseURL: process.env[url], apiKey: process.env.KEY, maxRetries: 0 });
const chat = client("CHAT_URL");
const responses = client("RESPONSES_URL");
const user = [{ role: "user", content: "Wie spät ist es? 🕰" }];
const weather = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

const cases = {
  async chat() {
    const told = await chat.chat.completions.create({ model: "happy", messages: user });
    return { text: told.choices[0].message.content, usage: told.usage, cost: told.spendgate.cost_nanos };
  },
  async chat_stream() {
    const stream = await chat.chat.completions.create({
      model: "happy", messages: user, stream: true, stream_options: { include_usage: true },
    });
    let text = "";
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    return { text, usage };
  },
  async tools() {
    const told = await chat.chat.completions.create({ model: "tools", messages: user, tools: [weather] });
    return told.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  },
  async tools_stream() {
    const stream = chat.chat.completions.stream({ model: "tools", messages: user, tools: [weather] });
    const told = await stream.finalChatCompletion();
    return told.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  },
  async schema_and_vision() {
    const told = await chat.chat.completions.create({
      model: "happy",
      messages: [{ role: "user", content: [
        { type: "text", text: "Was?" },
        { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw==", detail: "low" } },
      ] }],
      response_format: { type: "json_schema", json_schema: { name: "s", strict: true, schema: { type: "object" } } },
    });
    return told.choices[0].finish_reason;
  },
  async responses() {
    const told = await responses.responses.create({ model: "m", input: "Wie spät?" });
    return { text: told.output_text, items: told.output.map((item) => item.type), total: told.usage.total_tokens };
  },
  async responses_stream() {
    const stream = responses.responses.stream({ model: "m", input: "Wie spät?" });
    const kinds = [];
    for await (const event of stream) kinds.push(event.type);
    const told = await stream.finalResponse();
    return { text: told.output_text, items: told.output.map((item) => item.type), first: kinds[0], last: kinds.at(-1) };
  },
  async embeddings() {
    const told = await chat.embeddings.create({ model: "vectors", input: ["a", "b"] });
    return told.data.map((each) => each.embedding);
  },
  async models() {
    return (await chat.models.list()).data.map((model) => model.id);
  },
  async overloaded() {
    try {
      await client("FULL_URL").chat.completions.create({ model: "m", messages: user });
    } catch (error) {
      return { status: error.status, code: error.code, retry: error.headers.get("retry-after") };
    }
  },
};

for (const [name, run] of Object.entries(cases)) {
  let told;
  try {
    told = await run();
  } catch (error) {
    told = { failed: String(error) };
  }
  console.log(JSON.stringify([name, told]));
}
