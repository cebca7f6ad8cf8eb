// Judges objects of Kubernetes (a JSON list on standard input) by the types of its API, and of Prometheus Operator and cert-manager, as kubernetes-models has
// them from their published OpenAPI documents: TypeScript finds unknown and misspelt fields, the models' own schemas what is required and of which form.
// Prints what is wrong, a line each; exit status 1 then.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const here = dirname(fileURLToPath(import.meta.url));
const objects = JSON.parse(await text(process.stdin));
const wrong = [];

function model({ apiVersion, kind }) {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const name = {
    "monitoring.coreos.com": "@kubernetes-models/prometheus-operator/monitoring.coreos.com",
    "cert-manager.io": "@kubernetes-models/cert-manager/cert-manager.io",
  }[group] ?? (group ? `kubernetes-models/${group}` : "kubernetes-models");
  return `${name}/${version}/${kind}`;
}

const folder = mkdtempSync(join(here, ".check-"));
try {
  const source = objects.map((object, index) =>
    `import type { I${object.kind} as T${index} } from "${model(object)}";\nexport const o${index}: T${index} = ${JSON.stringify(object, null, 1)};\n`);
  const file = join(folder, "objects.ts");
  writeFileSync(file, source.join("\n"));
  const program = ts.createProgram([file], {
    noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext, types: [] });
  for (const { messageText, start, file: where } of ts.getPreEmitDiagnostics(program)) {
    const at = where ? where.text.split("\n")[where.getLineAndCharacterOfPosition(start).line].trim() : "";
    wrong.push(`${ts.flattenDiagnosticMessageText(messageText, " ")} [${at}]`);
  }
  for (const object of objects) {
    const Model = (await import(model(object)))[object.kind];
    try {
      new Model(object).validate();
    } catch (error) {
      wrong.push(`${object.kind} ${object.metadata.name}: ${error.message}`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (wrong.length) console.log(wrong.join("\n"));
process.exit(wrong.length ? 1 : 0);
