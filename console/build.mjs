// Sources in, gateway/console/static out: one page, one script, one style sheet, two fonts, the
// licences of what is in them, or into the folder that is named. Names carry a hash of the content, so browsers may keep them.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const OUT = process.argv[2] ?? new URL("../gateway/console/static/", import.meta.url).pathname;
const INSIDE = [
  ["Preact", "preact/LICENSE"],
  ["uPlot", "uplot/LICENSE"],
  ["IBM Plex Sans", "@fontsource-variable/ibm-plex-sans/LICENSE"],
  ["IBM Plex Mono", "@fontsource/ibm-plex-mono/LICENSE"],
];

await mkdir(OUT, { recursive: true });
for (const name of await readdir(OUT)) await rm(join(OUT, name));

const made = await build({
  entryPoints: { app: "src/main.tsx" },
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  entryNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  publicPath: "/console/assets",
  loader: { ".woff2": "file" },
  jsx: "automatic",
  jsxImportSource: "preact",
  legalComments: "none",
  outdir: OUT,
  metafile: true,
  write: true,
});
const names = Object.keys(made.metafile.outputs).map((path) => path.split("/").pop());
const named = (end) => names.find((name) => name.startsWith("app-") && name.endsWith(end));

const icon = await readFile("src/icon.svg", "utf8");
const iconName = `icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
await writeFile(join(OUT, iconName), icon);

const page = (await readFile("src/index.html", "utf8"))
  .replace("{{script}}", `/console/assets/${named(".js")}`)
  .replace("{{style}}", `/console/assets/${named(".css")}`)
  .replace("{{icon}}", `/console/assets/${iconName}`);
await writeFile(join(OUT, "index.html"), page);

const licences = [];
for (const [what, path] of INSIDE) {
  const text = await readFile(`node_modules/${path}`, "utf8");
  licences.push(`${what}\n\n${text.trim()}\n`);
}
await writeFile(join(OUT, "licences.txt"), licences.join(`\n${"-".repeat(80)}\n\n`));
console.log((await readdir(OUT)).join("\n"));
