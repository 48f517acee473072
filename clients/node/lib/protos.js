// Where the contracts are: inside the package once it is packed, in the repository before that.
import { cpSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const packed = path.join(here, "..", "protos");
const repository = path.join(here, "..", "..", "..", "protos");

export const contracts = existsSync(packed) ? packed : repository;
export const google = path.dirname(createRequire(import.meta.url).resolve("google-proto-files/package.json"));

if (process.argv.includes("--copy")) cpSync(repository, packed, { recursive: true });
