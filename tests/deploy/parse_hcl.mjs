// Prints a folder's .tf files as JSON, by file name; a syntax error is an exit status of 1.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import hcl from "@cdktf/hcl2json";

const folder = process.argv[2];
const made = {};
for (const name of readdirSync(folder).filter((name) => name.endsWith(".tf"))) made[name] = await hcl.parse(name, readFileSync(join(folder, name), "utf8"));
console.log(JSON.stringify(made));
process.exit(0);
